/*
 * options_table.c: every option that kvmlens has, and how it compares with QEMU's of that name; the
 * parser, `kvmlens -h`, README.md's table and docs/qemu.md are made from it.
 */
#include "options_internal.h"

#include <stddef.h>

const char *const option_group_titles[OPTION_GROUPS] = {
    [GROUP_GUEST] = "The guest",
    [GROUP_MACHINE] = "The machine",
    [GROUP_LINES] = "Serial port and devices",
    [GROUP_TRACE] = "What you see of it",
    [GROUP_HELP] = "Help",
    [GROUP_IGNORED] = "Taken so that QEMU's lines work; they change nothing here",
};

const char *option_note(const struct option_def *def)
{
    return def->note ? def->note : def->help;
}

const struct option_def option_table[] = {
    {GROUP_GUEST, "kernel", NULL, "FILE", "Boot FILE, an ELF64 kernel with a PVH note.",
     option_kernel, QEMU_LIMITS,
     "An ELF64 with a PVH note only; QEMU boots Linux (bzImage) and multiboot kernels too."},
    {GROUP_GUEST, "initrd", NULL, "FILE", "Hand FILE to the kernel as its first module.",
     option_initrd, QEMU_LIMITS,
     "One file; the list of modules that QEMU hands to a multiboot kernel is not here."},
    {GROUP_GUEST, "append", NULL, "TEXT", "The kernel's command line.", option_append, QEMU_LIMITS,
     "At most 4095 bytes."},
    {GROUP_GUEST, "bios", NULL, "FILE",
     "Boot the ROM FILE (a multiple of 64 KiB) from the reset vector instead of a kernel.",
     option_bios, QEMU_LIMITS,
     "Not together with -kernel: in QEMU the firmware boots it, with what it finds in fw_cfg. The "
     "file is looked for under its path only."},
    {GROUP_GUEST, "no-reboot", NULL, NULL, "End when the guest resets, instead of booting again.",
     option_no_reboot, QEMU_LIMITS,
     "A triple fault, a reset in QEMU, ends kvmlens with a post-mortem in any case."},
    {GROUP_GUEST, "name", NULL, "NAME", "The guest's name, shown in messages.", option_name,
     QEMU_LIMITS, "The name alone: not process= (the process is kvmlens) and debug-threads=on."},

    {GROUP_MACHINE, "machine", "M", "microvm[,PROPERTY=VALUE]...",
     "The machine: timeout=SECONDS, dumpdtb=FILE, kernel-irqchip=on|off, pit=on|off, rtc=on|off; "
     "all are told by -machine microvm,help.",
     option_machine, QEMU_LIMITS,
     "QEMU's microvm alone, its properties with the values that describe this machine; "
     "timeout=SECONDS is kvmlens's own."},
    {GROUP_MACHINE, "cpu", NULL, "host[,-FEATURE][,+FEATURE][,FEATURE=on|off]...",
     "The processor: the host's, as KVM offers it, less the features taken away; -cpu help lists "
     "their names.",
     option_cpu, QEMU_LIMITS,
     "The host's processor alone, less or more features; none of QEMU's models and other "
     "properties."},
    {GROUP_MACHINE, "smp", NULL, "[cpus=]N", "N processors, 1 (the default) to 64.", option_smp,
     QEMU_LIMITS, "Up to 64 cores of one socket, with one thread each; none can be added later."},
    {GROUP_MACHINE, "m", NULL, "[size=]SIZE",
     "RAM, in MiB or with a suffix (64M, 1.5G): 1M to 64G, 128M by default.", option_memory,
     QEMU_LIMITS, "1M to 64G; no slots= and maxmem= for memory that is added later."},
    {GROUP_MACHINE, "accel", NULL, "kvm[,kernel-irqchip=on|off]",
     "The accelerator; kvmlens has this one.", option_accel, QEMU_LIMITS,
     "kvm, with kernel-irqchip=on or off (not split); one of QEMU's others behind it is never "
     "used."},
    {GROUP_MACHINE, "enable-kvm", NULL, NULL, "The same as -accel kvm.", option_enable_kvm,
     QEMU_SAME, "KVM is the accelerator with and without it."},

    {GROUP_LINES, "serial", NULL, "mon:stdio|stdio|file:PATH|pty|unix:PATH|chardev:ID|null|none",
     "Where the serial port goes: the terminal with the escape character Ctrl-A (mon:stdio, the "
     "default), the terminal where Ctrl-C ends kvmlens, a file, a pseudo-terminal, a UNIX socket "
     "(unix:PATH,server=on[,wait=off]), a -chardev, nowhere; or no serial port.",
     option_serial, QEMU_LIMITS,
     "One serial port. Sockets are UNIX sockets on which kvmlens waits; mon: goes with stdio only; "
     "no tcp:, telnet:, udp:, pipe:, vc."},
    {GROUP_LINES, "chardev", NULL, "stdio|file|pty|socket|null,id=ID[,PROPERTY=VALUE]...",
     "The far end of a console or port, for -device virtconsole,chardev=ID or -serial chardev:ID; "
     "-chardev help lists what each kind takes.",
     option_chardev, QEMU_LIMITS,
     "Five kinds: stdio, file, pty, socket (UNIX sockets on which kvmlens waits), null; no "
     "logfile=."},
    {GROUP_LINES, "drive", NULL,
     "file=PATH,format=raw[,if=none|virtio][,id=ID][,PROPERTY=VALUE]...",
     "A disk image or block device, for -device virtio-blk-device,drive=ID; with if=virtio it "
     "brings "
     "the device along. readonly=on, cache=writeback|writethrough|none|unsafe, discard=unmap, "
     "locking=off; -drive help tells all.",
     option_drive, QEMU_LIMITS,
     "Raw images and block devices, if=none or if=virtio, no throttling. if=virtio brings a "
     "virtio-blk-device along; in QEMU a device on PCI, which its microvm lacks. The default is "
     "if=none."},
    {GROUP_LINES, "hda", NULL, "FILE",
     "The raw image FILE as a virtio-blk-device (QEMU's microvm has no IDE, and leaves -hda "
     "without "
     "a device).",
     option_hd, QEMU_LIMITS, "A raw image, as a virtio disk; in QEMU an IDE disk, of any format."},
    {GROUP_LINES, "hdb", NULL, "FILE", "One more of them.", option_hd, QEMU_LIMITS, "As -hda."},
    {GROUP_LINES, "device", NULL, "NAME[,PROPERTY=VALUE]...",
     "Add a device: isa-debug-exit, or a virtio device; -device help lists them, -device NAME,help "
     "tells a device's properties.",
     option_device, QEMU_LIMITS,
     "isa-debug-exit, and virtio-mmio devices (blk, net, serial with its ports, rng, balloon); of "
     "their properties those that -device NAME,help lists."},
    {GROUP_LINES, "netdev", NULL, "user|tap,id=ID[,PROPERTY=VALUE]...",
     "A network for -device virtio-net-device,netdev=ID: through this process's sockets, without "
     "privileges (user, by libslirp), or a tap interface; -netdev help lists what each takes.",
     option_netdev, QEMU_LIMITS,
     "user and tap; of their properties those that -netdev help lists: no tftp=, smb=, guestfwd=; "
     "no scripts, and no vhost."},
    {GROUP_LINES, "nic", NULL, "user|tap|none[,mac=ADDRESS][,PROPERTY=VALUE]...",
     "A network and its device in one; none changes nothing.", option_nic, QEMU_LIMITS,
     "user and tap, with a virtio-net-device. QEMU's microvm has no device for it, and warns."},
    {GROUP_LINES, "object", NULL, "filter-dump|rng-random|rng-builtin,id=ID[,PROPERTY=VALUE]...",
     "Write a network's frames, both ways, to a pcap file (filter-dump,id=ID,netdev=ID,file=PATH), "
     "for Wireshark, tshark, tcpdump; or a source of bytes for -device virtio-rng-device,rng=ID "
     "(rng-random,filename=PATH; rng-builtin). -object help lists their properties.",
     option_object, QEMU_LIMITS, "filter-dump, rng-random and rng-builtin alone."},
    {GROUP_LINES, "global", NULL, "virtio-mmio.PROPERTY=VALUE",
     "For all virtio devices: ioeventfd=on|off (off: each notification is an exit, which the trace "
     "shows), force-legacy=false (which QEMU needs; kvmlens has virtio 1 only).",
     option_global, QEMU_LIMITS, "Two properties of virtio-mmio: ioeventfd, force-legacy=false."},

    {GROUP_TRACE, "trace", NULL,
     "exits|summary|kernel|setup|live[,file=PATH][,format=FORM][,filter=EXPR]",
     "Print each VM exit as a line; or at the end counts and times of each kind; or each exit, and "
     "KVM's own events between them (as root); or the ioctls that make the VM; or a view of the "
     "exits while the guest runs. To stderr, or to PATH; all of them, or those that pass a filter; "
     "as text, or in another form (-h trace). May be given up to 4 times.",
     option_trace, QEMU_OWN, "QEMU's -trace shows QEMU's own trace events; this one the VM exits."},

    {GROUP_HELP, "help", "h", NULL,
     "This help; or of one of the topics machine, microvm, accel, cpu, device (and each device's "
     "name), virtio-mmio, chardev, drive, netdev, object, trace, as in -h trace; "
     "qemu (what kvmlens has of QEMU's options, as Markdown), options (the same, a line each, for "
     "programs), markdown (this table as Markdown).",
     option_show_help, QEMU_SAME, "Here a topic may follow, as in -h trace."},
    {GROUP_HELP, "version", NULL, NULL, "The version.", option_version, QEMU_SAME, NULL},

    {GROUP_IGNORED, "nographic", NULL, NULL,
     "There is no display; -serial mon:stdio is the default.", option_ignore, QEMU_IGNORED, NULL},
    {GROUP_IGNORED, "display", NULL, "none", "There is no display.", option_none, QEMU_IGNORED,
     NULL},
    {GROUP_IGNORED, "vga", NULL, "none", "There is no display.", option_none, QEMU_IGNORED, NULL},
    {GROUP_IGNORED, "nodefaults", NULL, NULL,
     "There are no default devices to leave out; QEMU leaves out the serial port too, which is "
     "-serial none here.",
     option_ignore, QEMU_IGNORED, NULL},
    {GROUP_IGNORED, "no-user-config", NULL, NULL, "There are no configuration files.",
     option_ignore, QEMU_IGNORED, NULL},
    {GROUP_IGNORED, "monitor", NULL, "none", "There is no monitor.", option_none, QEMU_IGNORED,
     NULL},
    {GROUP_IGNORED, "parallel", NULL, "none", "There is no parallel port.", option_none,
     QEMU_IGNORED, NULL},
    {GROUP_IGNORED, "net", NULL, "none", "There is no default network to leave out.", option_none,
     QEMU_IGNORED, NULL},
    {0},
};
