"""QEMU's machine pc: what a PC's firmware and PCI devices cost beside a microvm. (Devices of the
microvm's own bus have no place there, and its power-off register is not either: isa-debug-exit is.)"""
PROGRAM = "qemu-system-x86_64"
INSTALL = " (Debian: sudo apt-get install qemu-system-x86)"


def adapt(line):
    line.replace_machine("pc", "this column's machine is pc")
    line.choose_accelerator()
