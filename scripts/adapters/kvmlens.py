"""kvmlens: takes QEMU's options as they are; those that it has not are left out, and shown."""
PROGRAM = "build/kvmlens"
INSTALL = ": make builds it"
SOURCES = ("vmm", "include")


def adapt(line):
    def unwanted(option):
        known = line.known.get(option.name)
        return known and (known.relation == "absent" or
                          (known.relation == "ignored" and known.argument and option.words[-1] != "none"))
    line.leave_out(unwanted, lambda option: f"kvmlens has not: {line.known[option.name].note}")
