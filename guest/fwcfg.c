/*
 * fwcfg.c: the shell's command fwcfg: the files that QEMU hands to a guest (include/fw_cfg.h).  What
 * the device says of them is not trusted: neither their number, nor their size, nor that their names
 * end.
 */
#include "kernel.h"
#include "x86.h"

#include <fw_cfg.h>

#define FILES_MAX 256      /* that are looked at */
#define DUMP_MAX  0x10000u /* bytes of a file that are shown */

static void select(uint16_t item)
{
    out16(FW_CFG_PORT_SELECT, item);
}

static void take(void *bytes, uint32_t count)
{
    in8_string(FW_CFG_PORT_DATA, bytes, count);
}

static bool present(void)
{
    char signature[4];
    select(FW_CFG_SIGNATURE);
    take(signature, sizeof(signature));
    return memcmp(signature, "QEMU", sizeof(signature)) == 0;
}

/* Begins to read the directory. Returns how many entries to read from it. */
static uint32_t open_directory(void)
{
    uint32_t count;
    select(FW_CFG_FILE_DIR);
    take(&count, sizeof(count));
    count = __builtin_bswap32(count);
    if (count > FILES_MAX) {
        print("fwcfg: %u files; only the first %d are looked at\n", count, FILES_MAX);
        return FILES_MAX;
    }
    return count;
}

/* The directory's next entry, in the processor's byte order. */
static struct fw_cfg_file next_file(void)
{
    struct fw_cfg_file file;
    take(&file, sizeof(file));
    file.size = __builtin_bswap32(file.size);
    file.select = __builtin_bswap16(file.select);
    file.name[FW_CFG_NAME_MAX - 1] = 0;
    return file;
}

static void dump_file(const struct fw_cfg_file *file)
{
    static uint8_t *bytes;
    uint32_t size = file->size < DUMP_MAX ? file->size : DUMP_MAX;
    if (!bytes)
        bytes = pages_alloc(DUMP_MAX / PAGE_SIZE);
    select(file->select);
    take(bytes, size);
    print("fwcfg: %s, %u bytes\n", file->name, file->size);
    dump(0, bytes, size);
    if (size < file->size)
        print("fwcfg: only the first %u bytes are shown\n", size);
}

bool command_fwcfg(int argc, char **argv)
{
    if (argc > 2)
        return false;
    if (!present()) {
        print("no fw_cfg device\n");
        return true;
    }
    if (argc == 1)
        print("fwcfg: signature QEMU\n");
    for (uint32_t count = open_directory(); count; count--) {
        struct fw_cfg_file file = next_file();
        if (argc == 1) {
            print("fwcfg: %s, %u bytes\n", file.name, file.size);
        } else if (strcmp(file.name, argv[1]) == 0) {
            dump_file(&file);
            return true;
        }
    }
    if (argc == 2)
        print("fwcfg: no file %s\n", argv[1]);
    return true;
}
