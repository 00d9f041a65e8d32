"""kvmtool (lkvm): boots Linux's bzImage only; options as its `lkvm run --help` has them."""
PROGRAM = "lkvm"
INSTALL = " (its source: git.kernel.org, will/kvmtool.git)"


def adapt(line):
    words = ["run", "--console", "serial", "--kernel", line.value("kernel", "")]
    words += ["--params", line.value("append", "")] if line.has("append") else []
    words += ["--initrd", line.value("initrd")] if line.has("initrd") else []
    words += ["--cpus", line.value("smp", "1").removeprefix("cpus=")]
    words += ["--mem", line.value("m", "128").removeprefix("size=").removesuffix("M")]
    line.leave_out(lambda option: option.name not in ("kernel", "append", "initrd", "smp", "m", "nographic"),
                   "not translated for lkvm")
    return words
