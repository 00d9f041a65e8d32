/*
 * options_qemu.c: what QEMU's command line knows and kvmlens's does not (see options_qemu.h).
 * Taken from qemu-system-x86_64 7.2's -machine help, -accel help, -cpu help and -device help. Its
 * options are in options_absent.c.
 */
#include "options_qemu.h"

#include <stddef.h>
#include <string.h>

/* The lists are words with a space between, none longer than this with its NUL. */
#define WORD_SIZE 64

static const char machines[] = "isapc none nitro-enclave pc q35 virt x-remote xenfv xenpv";

static const char accelerators[] = "hax hvf mshv nitro nvmm qtest tcg whpx xen";

/* Without the -v1, -v2 of a version. */
static const char cpu_models[] =
    "486 Broadwell Broadwell-IBRS Broadwell-noTSX Broadwell-noTSX-IBRS Cascadelake-Server "
    "Cascadelake-Server-noTSX Conroe Cooperlake Denverton Dhyana EPYC EPYC-Genoa EPYC-IBPB "
    "EPYC-Milan EPYC-Rome GraniteRapids Haswell Haswell-IBRS Haswell-noTSX Haswell-noTSX-IBRS "
    "Icelake-Server Icelake-Server-noTSX IvyBridge IvyBridge-IBRS KnightsMill Nehalem "
    "Nehalem-IBRS Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4 Opteron_G5 Penryn SandyBridge "
    "SandyBridge-IBRS SapphireRapids SierraForest Skylake-Client Skylake-Client-IBRS "
    "Skylake-Client-noTSX-IBRS Skylake-Server Skylake-Server-IBRS Skylake-Server-noTSX-IBRS "
    "Snowridge Westmere Westmere-IBRS athlon base core2duo coreduo kvm32 kvm64 max n270 pentium "
    "pentium2 pentium3 phenom qemu32 qemu64";

/* Beside the families vmx-... and hv-... */
static const char cpu_properties[] =
    "ace2 ace2-en apic-id avic check core-id cpuid-0xb decodeassists die-id enforce family "
    "fill-mtrr-mask flushbyasid full-cpuid-auto-level full-width-write host-cache-info "
    "host-phys-bits host-phys-bits-limit ibrs-all intel-pt-lip kvm kvm-hint-dedicated "
    "kvm-no-smi-migration kvm-pv-enforce-cpuid l3-cache lbr-fmt lbrv level level-func7 lmce "
    "mds-no migratable min-level min-xlevel min-xlevel2 model model-id npt nrip-save pause-filter "
    "pfthreshold phe phe-en phys-bits pmm pmm-en pmu pschange-mc-no rdctl-no rsba sgx-debug "
    "sgx-exinfo sgx-kss sgx-mode64 sgx-provisionkey sgx-tokenkey sgx1 sgx2 skip-l1dfl-vmentry "
    "socket-id split-lock-detect ssb-no stepping svm-lock svme-addr-chk taa-no tcg-cpuid "
    "thread-id tsc-frequency tsc-scale tsx-ctrl ucode-rev v-vmsave-vmload vendor vgif vmcb-clean "
    "vmware-cpuid-freq xcrypt xcrypt-en xlevel xlevel2 xstore xstore-en";

static const char devices[] =
    "AC97 AMDVI-PCI ES1370 VGA ac97 acpi-erst adlib ahci am53c974 amd-iommu ati-vga bochs-display "
    "ccid-card-emulated ccid-card-passthru cirrus-vga cs4231a ctucan_pci cxl-downstream cxl-rp "
    "cxl-type3 cxl-upstream dc390 e1000 e1000-82540em e1000-82544gc e1000-82545em e1000e edu "
    "es1370 floppy guest-loader gus hda-duplex hda-micro hda-output hv-syndbg hyperv-testdev "
    "i2c-ddc i6300esb i8042 i82550 i82551 i82557a i82557b i82557c i82558a i82558b i82559a i82559b "
    "i82559c i82559er i82562 i82801 i82801b11-bridge ib700 ich9-ahci ich9-intel-hda "
    "ich9-usb-ehci1 ich9-usb-ehci2 ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3 ich9-usb-uhci4 "
    "ich9-usb-uhci5 ich9-usb-uhci6 ide-cd ide-hd intel-hda intel-iommu ioh3420 ipmi-bmc-extern "
    "ipmi-bmc-sim ipoctal232 isa-applesmc isa-cirrus-vga isa-debugcon isa-fdc isa-ide isa-ipmi-bt "
    "isa-ipmi-kcs isa-parallel isa-serial isa-vga ivshmem-doorbell ivshmem-plain kvaser_pci "
    "loader lsi lsi53c810 lsi53c895a mc146818rtc megasas megasas-gen2 mioe3680_pci mptsas1068 "
    "ne2k_isa ne2k_pci nec-usb-xhci nvdimm nvme nvme-ns nvme-subsys pc-dimm pc-testdev pci-bridge "
    "pci-bridge-seat pci-ipmi-bt pci-ipmi-kcs pci-ohci pci-serial pci-serial-2x pci-serial-4x "
    "pci-testdev pcie-pci-bridge pcie-root-port pcm3680_pci pcnet piix3-ide piix3-usb-uhci "
    "piix4-ide piix4-usb-uhci pvpanic pvpanic-pci pvrdma pvscsi pxb pxb-cxl pxb-pcie qemu-xhci "
    "qxl qxl-vga ramfb rocker rtl8139 sb16 scsi-block scsi-cd scsi-generic scsi-hd sd-card "
    "sdhci-pci secondary-vga sga smbus-ipmi tpci200 tpm-crb tpm-tis tulip u2f-passthru usb-audio "
    "usb-bot usb-braille usb-ccid usb-ehci usb-host usb-hub usb-kbd usb-mouse usb-mtp usb-net "
    "usb-redir usb-serial usb-storage usb-tablet usb-uas usb-wacom-tablet vfio-pci "
    "vfio-pci-igd-lpc-bridge vfio-pci-nohotplug vhost-scsi vhost-scsi-pci "
    "vhost-scsi-pci-non-transitional vhost-scsi-pci-transitional vhost-user-blk "
    "vhost-user-blk-pci vhost-user-blk-pci-non-transitional vhost-user-blk-pci-transitional "
    "vhost-user-fs-device vhost-user-fs-pci vhost-user-gpio-device vhost-user-gpio-pci "
    "vhost-user-gpu vhost-user-gpu-pci vhost-user-i2c-device vhost-user-i2c-pci vhost-user-input "
    "vhost-user-input-pci vhost-user-rng vhost-user-rng-pci vhost-user-scsi vhost-user-scsi-pci "
    "vhost-user-scsi-pci-non-transitional vhost-user-scsi-pci-transitional vhost-user-vga "
    "vhost-user-vsock-device vhost-user-vsock-pci vhost-user-vsock-pci-non-transitional "
    "vhost-vsock-device vhost-vsock-pci vhost-vsock-pci-non-transitional virtconsole virtio-9p "
    "virtio-9p-device virtio-9p-pci virtio-9p-pci-non-transitional virtio-9p-pci-transitional "
    "virtio-balloon virtio-balloon-device virtio-balloon-pci virtio-balloon-pci-non-transitional "
    "virtio-balloon-pci-transitional virtio-blk virtio-blk-device virtio-blk-pci "
    "virtio-blk-pci-non-transitional virtio-blk-pci-transitional virtio-crypto-device "
    "virtio-crypto-pci virtio-gpu virtio-gpu-device virtio-gpu-gl virtio-gpu-gl-pci "
    "virtio-gpu-pci virtio-input-host virtio-input-host-device virtio-input-host-pci virtio-iommu "
    "virtio-iommu-device virtio-iommu-pci virtio-keyboard virtio-keyboard-device "
    "virtio-keyboard-pci virtio-mem virtio-mem-pci virtio-mouse virtio-mouse-device "
    "virtio-mouse-pci virtio-net virtio-net-device virtio-net-pci virtio-net-pci-non-transitional "
    "virtio-net-pci-transitional virtio-pmem virtio-pmem-pci virtio-rng virtio-rng-device "
    "virtio-rng-pci virtio-rng-pci-non-transitional virtio-rng-pci-transitional virtio-scsi "
    "virtio-scsi-device virtio-scsi-pci virtio-scsi-pci-non-transitional "
    "virtio-scsi-pci-transitional virtio-serial virtio-serial-device virtio-serial-pci "
    "virtio-serial-pci-non-transitional virtio-serial-pci-transitional virtio-tablet "
    "virtio-tablet-device virtio-tablet-pci virtio-vga virtio-vga-gl virtserialport vmbus-bridge "
    "vmcoreinfo vmgenid vmmouse vmware-svga vmxnet3 x-pci-proxy-dev x3130-upstream "
    "xio3130-downstream";

static const char chardevs[] =
    "braille con dbus fdset hub msmouse parallel parport pipe qemu-vdagent ringbuf serial "
    "spiceport spicevmc tcp telnet testdev tn3270 tty udp vc websocket wctablet";

/* The next word of *LIST, copied into WORD; false at its end. */
static bool next_word(const char **list, char word[WORD_SIZE])
{
    size_t len = strcspn(*list, " ");

    memcpy(word, *list, len);
    word[len] = '\0';
    *list += len;
    *list += strspn(*list, " ");
    return len > 0;
}

static bool has(const char *list, const char *name)
{
    char word[WORD_SIZE];

    while (next_word(&list, word))
        if (strcmp(word, name) == 0)
            return true;
    return false;
}

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool qemu_has_machine(const char *name)
{
    return has(machines, name) || starts(name, "pc-i440fx-") || starts(name, "pc-q35-");
}

bool qemu_has_accelerator(const char *name)
{
    return has(accelerators, name);
}

bool qemu_has_cpu_model(const char *name)
{
    size_t len = strlen(name), base = len;
    char model[64];

    if (len >= sizeof(model))
        return false;
    while (base > 0 && name[base - 1] >= '0' && name[base - 1] <= '9')
        base--;
    memcpy(model, name, len + 1);
    if (base < len && base > 2 && memcmp(name + base - 2, "-v", 2) == 0)
        model[base - 2] = '\0';
    return has(cpu_models, model);
}

bool qemu_has_cpu_property(const char *name)
{
    return has(cpu_properties, name) || starts(name, "vmx-") || starts(name, "hv-");
}

bool qemu_has_device(const char *name)
{
    return has(devices, name);
}

bool qemu_has_chardev(const char *name)
{
    return has(chardevs, name) || starts(name, "/dev/");
}

void qemu_suggest_device(struct suggestion *suggestion)
{
    const char *list = devices;
    char word[WORD_SIZE];

    while (next_word(&list, word))
        suggest_offer(suggestion, word);
}
