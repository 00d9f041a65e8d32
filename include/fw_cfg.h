/*
 * fw_cfg.h: QEMU's firmware configuration device (QEMU docs/specs/fw_cfg.rst), which hands a guest
 * files.  kvmlens has none; its guest kernel looks for it.  All numbers are big-endian.
 */
#ifndef KVMLENS_FW_CFG_H
#define KVMLENS_FW_CFG_H

#include <stdint.h>

#define FW_CFG_PORT_SELECT 0x510  /* 2 bytes, write: selects an item, to be read from its begin */
#define FW_CFG_PORT_DATA   0x511  /* 1 byte, read: the item's next byte; behind its end 0 */
#define FW_CFG_SIGNATURE   0x0000 /* item: "QEMU" */
#define FW_CFG_FILE_DIR    0x0019 /* item: 4 bytes, the count, and so many struct fw_cfg_file */
#define FW_CFG_NAME_MAX    56     /* bytes of a file's name, the NUL included */

struct fw_cfg_file {
    uint32_t size;   /* bytes */
    uint16_t select; /* its item */
    uint16_t reserved;
    char name[FW_CFG_NAME_MAX];
};
_Static_assert(sizeof(struct fw_cfg_file) == 64, "a file's entry has 64 bytes");

#endif
