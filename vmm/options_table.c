/*
 * options_table.c: every option that kvmlens has; the parser, `kvmlens -h` and README.md's table
 * are made from it.
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

const struct option_def option_table[] = {
    {GROUP_GUEST, "kernel", NULL, "FILE", "Boot FILE, an ELF64 kernel with a PVH note.",
     option_kernel, NULL},
    {GROUP_GUEST, "initrd", NULL, "FILE", "Hand FILE to the kernel as its first module.",
     option_initrd, NULL},
    {GROUP_GUEST, "append", NULL, "TEXT", "The kernel's command line.", option_append, NULL},
    {GROUP_GUEST, "bios", NULL, "FILE",
     "Boot the ROM FILE (a multiple of 64 KiB) from the reset vector instead of a kernel.",
     option_bios, NULL},
    {GROUP_GUEST, "no-reboot", NULL, NULL, "End when the guest resets, instead of booting again.",
     option_no_reboot, NULL},
    {GROUP_GUEST, "name", NULL, "NAME", "The guest's name, shown in messages.", option_name, NULL},

    {GROUP_MACHINE, "machine", "M", "microvm[,PROPERTY=VALUE]...",
     "The machine: timeout=SECONDS, dumpdtb=FILE, kernel-irqchip=on|off, pit=on|off, rtc=on|off; "
     "all are told by -machine microvm,help.",
     option_machine, NULL},
    {GROUP_MACHINE, "cpu", NULL, "host[,-FEATURE][,+FEATURE][,FEATURE=on|off]...",
     "The processor: the host's, as KVM offers it, less the features taken away; -cpu help lists "
     "their names.",
     option_cpu, NULL},
    {GROUP_MACHINE, "smp", NULL, "[cpus=]N", "N processors, 1 (the default) to 64.", option_smp,
     NULL},
    {GROUP_MACHINE, "m", NULL, "[size=]SIZE",
     "RAM, in MiB or with a suffix (64M, 1.5G): 1M to 64G, 128M by default.", option_memory, NULL},
    {GROUP_MACHINE, "accel", NULL, "kvm[,kernel-irqchip=on|off]",
     "The accelerator; kvmlens has this one.", option_accel, NULL},
    {GROUP_MACHINE, "enable-kvm", NULL, NULL, "The same as -accel kvm.", option_enable_kvm, NULL},

    {GROUP_LINES, "serial", NULL, "mon:stdio|stdio|file:PATH|pty|unix:PATH|chardev:ID|null|none",
     "Where the serial port goes: the terminal with the escape character Ctrl-A (mon:stdio, the "
     "default), the terminal where Ctrl-C ends kvmlens, a file, a pseudo-terminal, a UNIX socket "
     "(unix:PATH,server=on[,wait=off]), a -chardev, nowhere; or no serial port.",
     option_serial, NULL},
    {GROUP_LINES, "chardev", NULL, "stdio|file|pty|socket|null,id=ID[,PROPERTY=VALUE]...",
     "The far end of a console or port, for -device virtconsole,chardev=ID or -serial chardev:ID; "
     "-chardev help lists what each kind takes.",
     option_chardev, NULL},
    {GROUP_LINES, "drive", NULL,
     "file=PATH,format=raw[,if=none|virtio][,id=ID][,PROPERTY=VALUE]...",
     "A disk image or block device, for -device virtio-blk-device,drive=ID; with if=virtio it "
     "brings "
     "the device along. readonly=on, cache=writeback|writethrough|none|unsafe, discard=unmap, "
     "locking=off; -drive help tells all.",
     option_drive, NULL},
    {GROUP_LINES, "hda", NULL, "FILE",
     "The raw image FILE as a virtio-blk-device (QEMU's microvm has no IDE, and leaves -hda "
     "without "
     "a device).",
     option_hd, NULL},
    {GROUP_LINES, "hdb", NULL, "FILE", "One more of them.", option_hd, NULL},
    {GROUP_LINES, "device", NULL, "NAME[,PROPERTY=VALUE]...",
     "Add a device: isa-debug-exit, or a virtio device; -device help lists them, -device NAME,help "
     "tells a device's properties.",
     option_device, NULL},
    {GROUP_LINES, "netdev", NULL, "user|tap,id=ID[,PROPERTY=VALUE]...",
     "A network for -device virtio-net-device,netdev=ID: through this process's sockets, without "
     "privileges (user, by libslirp), or a tap interface; -netdev help lists what each takes.",
     option_netdev, NULL},
    {GROUP_LINES, "nic", NULL, "user|tap|none[,mac=ADDRESS][,PROPERTY=VALUE]...",
     "A network and its device in one; none changes nothing.", option_nic, NULL},
    {GROUP_LINES, "object", NULL, "filter-dump|rng-random|rng-builtin,id=ID[,PROPERTY=VALUE]...",
     "Write a network's frames, both ways, to a pcap file (filter-dump,id=ID,netdev=ID,file=PATH), "
     "for Wireshark, tshark, tcpdump; or a source of bytes for -device virtio-rng-device,rng=ID "
     "(rng-random,filename=PATH; rng-builtin). -object help lists their properties.",
     option_object, NULL},
    {GROUP_LINES, "global", NULL, "virtio-mmio.PROPERTY=VALUE",
     "For all virtio devices: ioeventfd=on|off (off: each notification is an exit, which the trace "
     "shows), force-legacy=false (which QEMU needs; kvmlens has virtio 1 only).",
     option_global, NULL},

    {GROUP_TRACE, "trace", NULL,
     "exits|summary|kernel|setup|live[,file=PATH][,format=FORM][,filter=EXPR]",
     "Print each VM exit as a line; or at the end counts and times of each kind; or each exit, and "
     "KVM's own events between them (as root); or the ioctls that make the VM; or a view of the "
     "exits while the guest runs. To stderr, or to PATH; all of them, or those that pass a filter; "
     "as text, or in another form (-h trace). May be given up to 4 times.",
     option_trace, NULL},

    {GROUP_HELP, "help", "h", NULL,
     "This help; or of one of the topics machine, microvm, accel, cpu, device (and each device's "
     "name), virtio-mmio, chardev, drive, netdev, object, trace, markdown (this table as "
     "Markdown), as in "
     "-h trace.",
     option_show_help, NULL},
    {GROUP_HELP, "version", NULL, NULL, "The version.", option_version, NULL},

    {GROUP_IGNORED, "nographic", NULL, NULL,
     "There is no display; -serial mon:stdio is the default.", option_ignore, NULL},
    {GROUP_IGNORED, "display", NULL, "none", "There is no display.", option_none, "display"},
    {GROUP_IGNORED, "vga", NULL, "none", "There is no display.", option_none, "display"},
    {GROUP_IGNORED, "nodefaults", NULL, NULL, "There are no default devices to leave out.",
     option_ignore, NULL},
    {GROUP_IGNORED, "no-user-config", NULL, NULL, "There are no configuration files.",
     option_ignore, NULL},
    {GROUP_IGNORED, "monitor", NULL, "none", "There is no monitor.", option_none, "monitor"},
    {GROUP_IGNORED, "parallel", NULL, "none", "There is no parallel port.", option_none,
     "parallel port"},
    {GROUP_IGNORED, "net", NULL, "none", "There is no default network to leave out.", option_none,
     "such network (-netdev and -nic make one)"},
    {0},
};
