"""QEMU: gets its accelerator, modern virtio devices, and none of kvmlens's own options."""
PROGRAM = "qemu-system-x86_64"
INSTALL = " (Debian: sudo apt-get install qemu-system-x86, Fedora: qemu-system-x86-core)"


def adapt(line):
    line.leave_out(lambda option: option.name in line.known and line.known[option.name].relation == "own",
                   "kvmlens's own option")
    line.choose_accelerator()
    if not any("virtio-mmio.force-legacy" in value for value in line.values("global")):
        line.add("-global", "virtio-mmio.force-legacy=false")
