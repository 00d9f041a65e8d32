/*
 * initrd.c: the initial RAM disk of -initrd, which a PVH kernel gets as its first module.
 */
#include "file.h"
#include "pvh.h"

#include <inttypes.h>
#include <memmap.h>

#define PAGE 4096u

/* The highest page-aligned GPA below TOP that holds SIZE bytes and is not on KERNEL, or 0. */
static uint64_t find_place(uint64_t size, uint64_t top, const struct kernel_image *kernel)
{
    for (;;) {
        if (size > top)
            return 0;
        uint64_t gpa = (top - size) & ~(uint64_t)(PAGE - 1);
        if (gpa < RAM_KERNEL_MIN)
            return 0;
        const struct kernel_segment *hit = NULL;
        for (unsigned i = 0; i < kernel->segment_count; i++) {
            const struct kernel_segment *s = &kernel->segment[i];
            if (gpa < s->gpa + s->memsz && s->gpa < gpa + size)
                hit = s;
        }
        if (!hit)
            return gpa;
        top = hit->gpa;
    }
}

int initrd_open(struct image_file *initrd, const char *path, const struct kernel_image *kernel,
                uint64_t ram_bytes, uint64_t *gpa, struct error *err)
{
    if (image_file_open(initrd, path, err) < 0)
        return -1;
    uint64_t low = ram_layout(ram_bytes).low;
    *gpa = find_place(initrd->size, low, kernel);
    if (*gpa == 0)
        return image_error(initrd, err,
                           "found an initrd of %" PRIu64 " bytes, for which there is no room: RAM "
                           "from 1 MiB to 0x%" PRIx64
                           " also holds the kernel, which ends at 0x%" PRIx64 "; %s",
                           initrd->size, low, kernel->end,
                           low < RAM_LOW_TOP ? "give the guest more memory (-m)"
                                             : "an initrd must fit below 3 GiB");
    return 0;
}
