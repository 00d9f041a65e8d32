/*
 * options_absent.c: every option that QEMU has and kvmlens has not, and why.
 * Source: qemu-system-x86_64 7.2, -help and manual page; QEMU's qemu-options.hx for those that only
 * other versions have, docs/about/removed-features.rst.
 */
#include "options_qemu.h"

#include <string.h>

/* A name that ends in "=" takes an argument. One that begins with "+" came after QEMU 7.2, one that
 * begins with "-" was gone by then. The reason is what the refusal says, too. */
const struct qemu_absent qemu_absent_options[] = {
    /* Images, and where to boot from */
    {"There is no CD-ROM drive: QEMU's hangs on an IDE or SCSI bus (its microvm leaves -cdrom "
     "without "
     "a drive). An ISO image is read as a disk: -drive "
     "file=ISO,format=raw,if=virtio,readonly=on.",
     "cdrom="},
    {"There is no boot order: -kernel or -bios says what is booted. QEMU hands the order to its "
     "firmware.",
     "boot="},
    {"There is no IDE: -hda and -hdb are virtio disks here, and -drive if=virtio makes more of "
     "them.",
     "hdc= hdd= win2k-hack"},
    {"There is no floppy drive.", "fda= fdb= no-fd-bootchk"},
    {"There are no layers of block devices: a -drive is a raw image file or a block device.",
     "blockdev= iscsi="},
    {"There are no overlays: what the guest writes goes into its image, so give it a copy.",
     "snapshot"},
    {"There is neither flash memory nor an SD card.", "mtdblock= pflash= sd="},
    {"There are no option ROMs: kvmlens itself puts the kernel into memory and starts it (PVH).",
     "option-rom="},
    {"There is no UEFI firmware, for which the shim would be.", "+shim="},
    {"There is no folder of firmware, keymaps and option ROMs to look in.", "L="},
    {"kvmlens makes the device tree itself (-machine microvm,dumpdtb=FILE writes it).", "dtb="},
    {"There is no fw_cfg device, by which QEMU hands files and tables to its firmware.",
     "fw_cfg= smbios="},
    {"The guest cannot ask for a UUID: QEMU shows it in SMBIOS tables and fw_cfg.", "uuid="},
    {"There are no ACPI tables: the kernel's command line and a device tree describe the machine.",
     "acpitable= no-acpi"},

    /* Display and keyboard */
    {"There is no display, so no VNC server: the serial port and virtio consoles can be on sockets "
     "(-serial unix:PATH,server=on).",
     "vnc="},
    {"There is no keyboard to lay out: a guest gets characters, by its serial port and virtio "
     "consoles. "
     "In QEMU the layout is for VNC and curses displays.",
     "k="},
    {"There is no display: the guest has its serial port and virtio consoles.",
     "full-screen g= portrait rotate= spice="},
    {"There is no sound.", "audio= audio-help audiodev= -soundhw="},
    {"There is no USB.", "usb usbdevice="},

    /* Other devices */
    {"There is no file sharing (9p): files come and go by a disk image or the network.",
     "fsdev= virtfs="},
    {"There is no HPET: the PIT and the local APICs are the timers, and KVM has them.", "no-hpet"},
    {"The real-time clock shows the host's time, in UTC.", "rtc="},
    {"There is no TPM.", "tpmdev="},
    {"There is no watchdog: -machine microvm,timeout=SECONDS ends a guest that hangs.",
     "-watchdog= watchdog-action="},
    {"There is no debug console (isa-debugcon); the trace shows what is written to any port.",
     "debugcon="},
    {"There are no NUMA nodes.", "numa="},
    {"RAM is anonymous memory, which the host gives as the guest touches it.",
     "mem-path= mem-prealloc overcommit="},
    {"There is no pseudo-random generator to seed: random bytes are the host's (getrandom(2)).",
     "seed="},

    /* Monitor, debugging, state */
    {"There is no monitor: the command line says all, and Ctrl-A x ends kvmlens.",
     "mon= qmp= qmp-pretty="},
    {"There is no monitor that could let the guest go on.", "S no-shutdown preconfig"},
    {"A guest's power off and crash end kvmlens; its reset boots it again, or ends kvmlens with "
     "-no-reboot.",
     "action="},
    {"There is no gdb stub: -trace shows what the guest does, and a post-mortem what killed it.",
     "gdb= s"},
    {"There is no translator (TCG): the processor and KVM run the guest's instructions. Their "
     "exits "
     "are shown by -trace.",
     "D= d= dfilter= icount= +jitdump +one-insn-per-tick +perfmap plugin= singlestep -tb-size="},
    {"There are no saved states, and no migration.",
     "dump-vmstate= incoming= loadvm= only-migratable"},
    {"There is no management interface (QMP) with deprecated parts.", "compat="},
    {"It measures QEMU's own locks; perf shows where kvmlens waits.", "enable-sync-profile"},
    {"It is for QEMU's own tests.", "qtest= qtest-log="},

    /* The process */
    {"kvmlens is a plain process in the foreground, with its user's rights: the shell or a service "
     "manager does this.",
     "+run-with= async-teardown chroot= daemonize pidfile= runas= sandbox="},
    {"There are no configuration files: the command line says all.",
     "readconfig= set= -writeconfig="},
    {"Files are opened by name, not by descriptor.", "add-fd="},
    {"The escape character is Ctrl-A.", "echr="},
    {"Messages have one form.", "msg="},
    {"There is no VNC server, whose passwords it forbids.", "-enable-fips"},
    {"The accelerator is KVM alone; Xen is another hypervisor.",
     "xen-attach xen-domid= xen-domid-restrict"},
    {"It is for other processors (Arm, PowerPC, SPARC and others).",
     "old-param prom-env= semihosting semihosting-config="},
    {NULL, NULL},
};

bool qemu_next_option(const char **names, struct qemu_option *option)
{
    const char *word = *names;
    size_t len = strcspn(word, " ");

    if (len == 0)
        return false;
    *names = word + len + strspn(word + len, " ");
    option->version = *word == '+' ? QEMU_LATER : *word == '-' ? QEMU_EARLIER : QEMU_7_2;
    if (option->version != QEMU_7_2) {
        word++;
        len--;
    }
    option->argument = word[len - 1] == '=';
    if (option->argument)
        len--;
    if (len >= sizeof(option->name))
        len = sizeof(option->name) - 1;
    memcpy(option->name, word, len);
    option->name[len] = '\0';
    return true;
}

const char *qemu_option_why(const char *name, struct qemu_option *option)
{
    struct qemu_option unwanted;

    if (!option)
        option = &unwanted;
    for (const struct qemu_absent *absent = qemu_absent_options; absent->why; absent++) {
        const char *names = absent->names;

        while (qemu_next_option(&names, option))
            if (strcmp(option->name, name) == 0)
                return absent->why;
    }
    return NULL;
}
