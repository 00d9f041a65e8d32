/*
 * kernel.c: an ELF64 kernel with a PVH note: every byte that the guest's start depends on is
 * checked here, before a VM exists (System V ABI, chapters 4 and 5; the note: Xen
 * docs/misc/pvh.pandoc).  As in QEMU, segments are loaded at their physical address (p_paddr) and
 * the note is looked for in PT_NOTE segments, never in sections: sections may be stripped.
 */
#include "format.h"
#include "pvh.h"

#include <gelf.h>
#include <inttypes.h>
#include <memmap.h>
#include <pvh.h>
#include <stdio.h>
#include <string.h>

#define NOTES_MAX 0x100000 /* a note segment's size at most (bytes): it is read as a whole */
#define PHDR      "program header %u (at offset %" PRIu64 "): "
#define GPA       "0x%" PRIx64

/* One kernel that is being checked. */
struct check {
    const struct image_file *file;
    Elf *elf;
    Elf64_Ehdr header;
    const Elf64_Phdr *phdr; /* header.e_phnum of them */
    uint64_t ram_bytes;
    char found[128]; /* the notes that were not it, for a message */
};

static uint64_t phdr_offset(const struct check *c, unsigned i)
{
    return c->header.e_phoff + i * sizeof(Elf64_Phdr);
}

static int check_in_file(const struct check *c, unsigned i, struct error *err)
{
    const Elf64_Phdr *ph = &c->phdr[i];
    if (ph->p_offset > c->file->size || c->file->size - ph->p_offset < ph->p_filesz)
        return image_error(c->file, err,
                           "truncated: " PHDR "its data are %" PRIu64 " bytes at offset %" PRIu64
                           ", but the file ends at offset %" PRIu64,
                           i, phdr_offset(c, i), ph->p_filesz, ph->p_offset, c->file->size);
    return 0;
}

/* That the RAM of this machine has [gpa, end), which begins at 1 MiB or above. */
static int check_in_ram(const struct check *c, unsigned i, uint64_t gpa, uint64_t end,
                        struct error *err)
{
    const uint64_t mib = 0x100000, hole = RAM_HIGH_BASE - RAM_LOW_TOP;
    bool high = gpa >= RAM_HIGH_BASE;
    if (!high && end > RAM_LOW_TOP)
        return image_error(c->file, err,
                           PHDR "found a segment at " GPA "-" GPA ", which runs into the devices "
                                "at 0x%x-0x%" PRIx64 ", where there is no RAM",
                           i, phdr_offset(c, i), gpa, end - 1, RAM_LOW_TOP,
                           (uint64_t)RAM_HIGH_BASE - 1);
    struct ram_layout ram = ram_layout(c->ram_bytes);
    uint64_t top = high ? RAM_HIGH_BASE + ram.high : ram.low;
    if (end <= top)
        return 0;
    uint64_t needed = high ? end - hole : end;
    if (needed > RAM_MAX_BYTES)
        return image_error(c->file, err,
                           PHDR "found a segment at " GPA "-" GPA ", expected it to fit the "
                                "largest RAM (64 GiB)",
                           i, phdr_offset(c, i), gpa, end - 1);
    return image_error(
        c->file, err,
        PHDR "found a segment at " GPA "-" GPA ", which is beyond this guest's %" PRIu64
             " MiB of RAM; it needs -m %" PRIu64 "M or more",
        i, phdr_offset(c, i), gpa, end - 1, c->ram_bytes / mib, (needed + mib - 1) / mib);
}

static int check_segment(const struct check *c, unsigned i, struct error *err)
{
    const Elf64_Phdr *ph = &c->phdr[i];
    if (ph->p_filesz > ph->p_memsz)
        return image_error(c->file, err,
                           PHDR "found %" PRIu64 " bytes in the file (p_filesz) for %" PRIu64
                                " bytes in memory (p_memsz), expected no more",
                           i, phdr_offset(c, i), ph->p_filesz, ph->p_memsz);
    if (check_in_file(c, i, err) < 0)
        return -1;
    if (ph->p_memsz > UINT64_MAX - ph->p_paddr)
        return image_error(c->file, err,
                           PHDR "found a segment of 0x%" PRIx64 " bytes at " GPA
                                ", which wraps around the end of the address space",
                           i, phdr_offset(c, i), ph->p_memsz, ph->p_paddr);
    if (ph->p_paddr < RAM_KERNEL_MIN)
        return image_error(c->file, err,
                           PHDR "found a segment at " GPA
                                " (p_paddr), expected 0x%x (1 MiB) or above: boot information, the "
                                "BIOS area and devices are below; link the kernel higher",
                           i, phdr_offset(c, i), ph->p_paddr, RAM_KERNEL_MIN);
    return check_in_ram(c, i, ph->p_paddr, ph->p_paddr + ph->p_memsz, err);
}

/* Checks all PT_LOAD segments and collects those that take memory. */
static int read_segments(const struct check *c, struct kernel_image *kernel, struct error *err)
{
    for (unsigned i = 0; i < c->header.e_phnum; i++) {
        const Elf64_Phdr *ph = &c->phdr[i];
        if (ph->p_type != PT_LOAD || (ph->p_memsz == 0 && ph->p_filesz == 0))
            continue;
        if (kernel->segment_count == KERNEL_SEGMENTS_MAX)
            return image_error(c->file, err, PHDR "found one PT_LOAD more than the %d allowed", i,
                               phdr_offset(c, i), KERNEL_SEGMENTS_MAX);
        if (check_segment(c, i, err) < 0)
            return -1;
        struct kernel_segment new = {.offset = ph->p_offset,
                                     .filesz = ph->p_filesz,
                                     .memsz = ph->p_memsz,
                                     .gpa = ph->p_paddr};
        uint64_t end = new.gpa + new.memsz;
        for (unsigned j = 0; j < kernel->segment_count; j++) {
            const struct kernel_segment *s = &kernel->segment[j];
            if (new.gpa < s->gpa + s->memsz && s->gpa < end)
                return image_error(c->file, err,
                                   PHDR "found a segment at " GPA "-" GPA
                                        ", which overlaps the one at " GPA "-" GPA,
                                   i, phdr_offset(c, i), new.gpa, end - 1, s->gpa,
                                   s->gpa + s->memsz - 1);
        }
        kernel->segment[kernel->segment_count++] = new;
        if (end > kernel->end)
            kernel->end = end;
    }
    if (kernel->segment_count == 0)
        return image_error(c->file, err,
                           "found %u program headers at offset %" PRIu64
                           ", none of them a PT_LOAD with memory: there is nothing to load",
                           c->header.e_phnum, c->header.e_phoff);
    return 0;
}

/* Adds a note to the list of those found. The name is the file's: it is shown as far as it is
 * printable. */
static void remember_note(struct check *c, const char *name, size_t size, unsigned type)
{
    char shown[17] = "";
    for (size_t i = 0; i + 1 < sizeof(shown) && i < size && name[i] >= ' ' && name[i] <= '~'; i++)
        shown[i] = name[i];
    size_t used = strlen(c->found);
    snprintf(c->found + used, sizeof(c->found) - used, "%s\"%s\" type %u", used ? ", " : "", shown,
             type);
}

/* Takes the entry point from the PVH note's descriptor of SIZE bytes at OFFSET of the file. */
static int read_entry(const struct check *c, const void *desc, size_t size, uint64_t offset,
                      uint32_t *entry, struct error *err)
{
    if (size != 4 && size != 8)
        return image_error(c->file, err,
                           "malformed PVH note: found a descriptor of %zu bytes at offset %" PRIu64
                           ", expected an address of 4 or 8",
                           size, offset);
    uint64_t value = 0;
    memcpy(&value, desc, size);
    if (value > UINT32_MAX)
        return image_error(c->file, err,
                           "found PVH entry " GPA " in the note at offset %" PRIu64
                           ", expected an address below 4 GiB: the guest starts in 32-bit mode",
                           value, offset);
    for (unsigned i = 0; i < c->header.e_phnum; i++) {
        const Elf64_Phdr *ph = &c->phdr[i];
        if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X) && value >= ph->p_paddr &&
            value - ph->p_paddr < ph->p_filesz) {
            *entry = (uint32_t)value;
            return 0;
        }
    }
    return image_error(c->file, err,
                       "found PVH entry " GPA " in the note at offset %" PRIu64
                       ", expected a physical address (p_paddr) in an executable segment",
                       value, offset);
}

/* Looks for the PVH note in the notes of program header I. 1: found, 0: not there, -1: *err. */
static int search_notes(struct check *c, unsigned i, uint32_t *entry, struct error *err)
{
    const Elf64_Phdr *ph = &c->phdr[i];
    if (check_in_file(c, i, err) < 0)
        return -1;
    if (ph->p_filesz > NOTES_MAX)
        return image_error(c->file, err,
                           PHDR "found %" PRIu64 " bytes of notes, expected at most %d", i,
                           phdr_offset(c, i), ph->p_filesz, NOTES_MAX);
    if (ph->p_filesz < sizeof(Elf64_Nhdr))
        return 0;
    Elf_Data *data = elf_getdata_rawchunk(c->elf, (int64_t)ph->p_offset, ph->p_filesz,
                                          ph->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
    if (!data)
        return image_error(c->file, err, PHDR "cannot read the notes at offset %" PRIu64 ": %s", i,
                           phdr_offset(c, i), ph->p_offset, elf_errmsg(-1));

    size_t at = 0;
    while (at < data->d_size && data->d_size - at >= sizeof(Elf64_Nhdr)) {
        GElf_Nhdr note;
        size_t name_at, desc_at;
        size_t next = gelf_getnote(data, at, &note, &name_at, &desc_at);
        if (next == 0)
            return image_error(c->file, err,
                               "malformed note at offset %" PRIu64
                               ": its name or descriptor passes the end of its segment at offset "
                               "%" PRIu64,
                               ph->p_offset + at, ph->p_offset + ph->p_filesz);
        const char *name = (const char *)data->d_buf + name_at;
        if (note.n_type == PVH_NOTE_TYPE && note.n_namesz == sizeof(PVH_NOTE_NAME) &&
            !memcmp(name, PVH_NOTE_NAME, sizeof(PVH_NOTE_NAME)))
            return read_entry(c, (const char *)data->d_buf + desc_at, note.n_descsz,
                              ph->p_offset + desc_at, entry, err) < 0
                       ? -1
                       : 1;
        remember_note(c, name, note.n_namesz, note.n_type);
        at = next;
    }
    return 0;
}

static int read_note(struct check *c, uint32_t *entry, struct error *err)
{
    unsigned segments = 0;
    for (unsigned i = 0; i < c->header.e_phnum; i++) {
        if (c->phdr[i].p_type != PT_NOTE)
            continue;
        segments++;
        int found = search_notes(c, i, entry, err);
        if (found != 0)
            return found < 0 ? -1 : 0;
    }
    const char *found = c->found[0] ? c->found : segments ? "an empty PT_NOTE" : "no PT_NOTE";
    return image_error(c->file, err,
                       "no PVH note: found %s, expected a note named \"" PVH_NOTE_NAME
                       "\" of type %d (XEN_ELFNOTE_PHYS32_ENTRY) in a PT_NOTE segment, with the "
                       "kernel's 32-bit entry address%s",
                       found, PVH_NOTE_TYPE, format_multiboot_hint(c->file));
}

int kernel_open(struct kernel_image *kernel, const char *path, uint64_t ram_bytes,
                struct error *err)
{
    *kernel = (struct kernel_image){0};
    struct check c = {.file = &kernel->file, .ram_bytes = ram_bytes};
    if (image_file_open(&kernel->file, path, err) < 0 ||
        format_check(&kernel->file, &c.header, err) < 0)
        return -1;

    elf_version(EV_CURRENT);
    c.elf = elf_begin(kernel->file.fd, ELF_C_READ, NULL);
    c.phdr = elf64_getphdr(c.elf);
    size_t count = 0;
    int result;
    if (!c.phdr || elf_getphdrnum(c.elf, &count) < 0 || count != c.header.e_phnum)
        result =
            image_error(c.file, err, "cannot read %u program headers at offset %" PRIu64 ": %s",
                        c.header.e_phnum, c.header.e_phoff,
                        count ? "the file changed meanwhile" : elf_errmsg(-1));
    else if (read_segments(&c, kernel, err) < 0)
        result = -1;
    else
        result = read_note(&c, &kernel->entry, err);
    elf_end(c.elf);
    return result;
}

int kernel_load(const struct kernel_image *kernel, const struct mem *mem, struct error *err)
{
    for (unsigned i = 0; i < kernel->segment_count; i++) {
        const struct kernel_segment *s = &kernel->segment[i];

        if (!mem_ptr(mem, s->gpa, s->memsz))
            return image_error(&kernel->file, err,
                               "cannot load %" PRIu64 " bytes at GPA " GPA ": that is not RAM",
                               s->memsz, s->gpa);
        if (image_file_load(&kernel->file, s->offset, s->filesz, mem, s->gpa, err) < 0)
            return -1;
    }
    return 0;
}
