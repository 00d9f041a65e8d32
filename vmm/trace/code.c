/*
 * code.c: the guest's code by address, from its ELF file (see code.h; System V gABI, "Program
 * Header").
 *
 * The file is the guest's: its bytes are read with pread() from where the program headers say, and
 * what is not there is not known.
 */
#include "code.h"

#include "code_insn.h"
#include "code_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENTS_MAX 16
#define SWEEP_MAX    4096 /* how far before RIP a symbol may begin to tell where instructions do */
#define ANY_PORT     0x100

/* What the file has of guest memory. */
struct segment {
    uint64_t vaddr, paddr, offset, size;
};

/* On all of this the answer depends; without padding. An immediate port has 8 bits: others are in
 * DX, and alike. */
struct key {
    uint64_t rip;
    uint32_t port;
    uint8_t kind, write, size, repeated;
};

struct known {
    struct key key;
    struct code_place place;
};

struct code {
    int fd;
    enum code_mode mode;
    struct segment segment[SEGMENTS_MAX];
    unsigned segments;
    struct symbols *symbols;
    struct code_lines *lines;
    bool looked_closer; /* the disassembler has been looked for, for the first place */
    struct disassembler *disassembler;
    enum code_rip writes; /* where RIP was after the last OUT that was clear */
    void *places;         /* tsearch() tree of struct known */
    unsigned place_count;
    void *strings; /* tsearch() tree of char */
    struct code_place other;
};

static int compare_strings(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int compare_places(const void *a, const void *b)
{
    const struct key *left = &((const struct known *)a)->key;
    const struct key *right = &((const struct known *)b)->key;

    return memcmp(left, right, sizeof(*left));
}

/* The one copy of TEXT; NULL for NULL, and without memory. */
static const char *intern(struct code *code, const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    char **found = copy ? tsearch(copy, &code->strings, compare_strings) : NULL;

    if (!found || *found != copy)
        free(copy);
    return found ? *found : NULL;
}

/* --- the file ----------------------------------------------------------------------------------- */

static bool read_headers(struct code *code)
{
    Elf *elf = elf_version(EV_CURRENT) == EV_NONE ? NULL : elf_begin(code->fd, ELF_C_READ, NULL);
    GElf_Ehdr header;
    size_t count;
    bool good = elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) &&
                elf_getphdrnum(elf, &count) == 0;

    if (good)
        code->mode = header.e_ident[EI_CLASS] == ELFCLASS64 ? CODE_64 : CODE_32;
    for (size_t i = 0; good && i < count && code->segments < SEGMENTS_MAX; i++) {
        GElf_Phdr part;
        if (!gelf_getphdr(elf, (int)i, &part))
            break;
        if (part.p_type == PT_LOAD && part.p_filesz <= INT64_MAX &&
            part.p_offset <= INT64_MAX - part.p_filesz)
            code->segment[code->segments++] =
                (struct segment){part.p_vaddr, part.p_paddr, part.p_offset, part.p_filesz};
    }
    elf_end(elf);
    return good;
}

struct code *code_open(const char *path)
{
    struct code *code = calloc(1, sizeof(*code));
    struct stat status;

    if (!code)
        return NULL;
    /* Non-blocking: a FIFO would wait for a writer. */
    code->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (code->fd < 0 || fstat(code->fd, &status) < 0 || !S_ISREG(status.st_mode) ||
        !read_headers(code)) {
        code_close(code);
        return NULL;
    }
    code->symbols = symbols_read(code->fd);
    code->lines = code_lines_open(code->fd);
    return code;
}

void code_close(struct code *code)
{
    if (!code)
        return;
    tdestroy(code->places, free);
    tdestroy(code->strings, free);
    code_lines_close(code->lines);
    disassembler_close(code->disassembler);
    symbols_free(code->symbols);
    if (code->fd >= 0)
        close(code->fd);
    free(code);
}

const struct symbols *code_symbols(const struct code *code)
{
    return code ? code->symbols : NULL;
}

/* The segment whose bytes of the file ADDR is in, and where in it; by virtual address, or else by
 * physical, for code that runs before paging is on. */
static const struct segment *find_segment(const struct code *code, uint64_t addr, uint64_t *at)
{
    for (unsigned physical = 0; physical < 2; physical++) {
        for (unsigned i = 0; i < code->segments; i++) {
            const struct segment *segment = &code->segment[i];
            uint64_t start = physical ? segment->paddr : segment->vaddr;
            if (addr >= start && addr - start < segment->size) {
                *at = addr - start;
                return segment;
            }
        }
    }
    return NULL;
}

/* --- one place ---------------------------------------------------------------------------------- */

static unsigned min_u64(uint64_t a, uint64_t b, unsigned c)
{
    uint64_t min = a < b ? a : b;

    return min < c ? (unsigned)min : c;
}

/* Reads the code around RIP into BYTES (SWEEP_MAX + CODE_INSN_BYTES of them). */
static bool read_window(const struct code *code, uint64_t rip, uint8_t *bytes,
                        struct code_window *window)
{
    uint64_t at, from_symbol = 0;
    /* RIP may be the first byte behind a segment, whose last instruction made the exit. */
    const struct segment *segment = find_segment(code, rip, &at);

    if (!segment && rip > 0 && (segment = find_segment(code, rip - 1, &at)))
        at++;
    if (!segment)
        return false;
    bool named = rip > 0 && symbols_find(code->symbols, rip - 1, &from_symbol);
    from_symbol++;
    *window = (struct code_window){.bytes = bytes};
    window->aligned = named && from_symbol <= at && from_symbol <= SWEEP_MAX;
    window->before =
        window->aligned ? (unsigned)from_symbol : min_u64(at, CODE_INSN_BYTES, CODE_INSN_BYTES);

    unsigned behind = min_u64(segment->size - at, CODE_INSN_BYTES, CODE_INSN_BYTES);
    ssize_t got;
    do
        got = pread(code->fd, bytes, window->before + behind,
                    (off_t)(segment->offset + at - window->before));
    while (got < 0 && errno == EINTR);
    window->len = got < 0 ? 0 : (unsigned)got;
    return window->len >= window->before; /* less: the file is cut off */
}

/* A kernel has code of more than one mode: that of its ELF class first, the others if the exit's
 * I/O is not found in it. */
static void choose(struct code *code, const struct code_window *window,
                   const struct trace_event *event, struct code_choice *best)
{
    static const enum code_mode modes[2][CODE_MODES] = {{CODE_64, CODE_32, CODE_16},
                                                        {CODE_32, CODE_16, CODE_64}};
    bool does_io = event->kind == VM_EXIT_PIO || event->kind == VM_EXIT_MMIO;

    /* A write to memory leaves RIP behind it on every backend. */
    enum code_rip writes = event->kind == VM_EXIT_PIO ? code->writes : CODE_RIP_BEHIND;

    disassembler_choose(code->disassembler, code->mode, window, event, writes, best);
    for (unsigned i = 1; does_io && i < CODE_MODES; i++) {
        struct code_choice choice;
        disassembler_choose(code->disassembler, modes[code->mode == CODE_64 ? 0 : 1][i], window,
                            event, writes, &choice);
        if (choice.fit > best->fit)
            *best = choice;
    }
    if (event->kind == VM_EXIT_PIO && event->write && event->count <= 1 &&
        best->told != CODE_RIP_UNKNOWN)
        code->writes = best->told;
}

static void fill(struct code *code, const struct trace_event *event, struct code_place *place)
{
    uint8_t bytes[SWEEP_MAX + CODE_INSN_BYTES];
    struct code_window window;
    struct code_choice choice = {.fit = 0};
    char file[CODE_FILE_MAX];
    uint64_t at;

    if (!code->looked_closer) {
        code->looked_closer = true;
        code->disassembler = disassembler_open();
    }
    if (read_window(code, event->rip, bytes, &window))
        choose(code, &window, event, &choice);
    place->insn_addr = event->rip - choice.back;
    place->insn = choice.text[0] ? intern(code, choice.text) : NULL;
    place->symbol = intern(code, symbols_find(code->symbols, place->insn_addr, &place->offset));
    /* The line table knows virtual addresses alone. */
    const struct segment *segment = find_segment(code, place->insn_addr, &at);
    uint64_t linked = segment ? segment->vaddr + at : place->insn_addr;
    if (code_lines_find(code->lines, linked, file, &place->line))
        place->file = intern(code, file);
    if (!place->file)
        place->line = 0;
}

const struct code_place *code_find(struct code *code, const struct trace_event *event)
{
    static const struct code_place nothing;
    bool is_port = event->kind == VM_EXIT_PIO;

    if (!code)
        return &nothing;
    struct known wanted = {
        .key = {
            .rip = event->rip,
            .port = is_port && event->addr < ANY_PORT ? (uint32_t)event->addr : ANY_PORT,
            .kind = (uint8_t)event->kind,
            .write = event->write,
            .size = event->size,
            .repeated = event->count > 1,
        }};
    struct known **found = tfind(&wanted, &code->places, compare_places);
    if (found)
        return &(*found)->place;

    struct known *known = code->place_count < CODE_PLACES_MAX ? malloc(sizeof(*known)) : NULL;
    if (known) {
        *known = wanted;
        found = tsearch(known, &code->places, compare_places);
        if (found) {
            code->place_count++;
            fill(code, event, &known->place);
            return &known->place;
        }
        free(known);
    }
    code->other = (struct code_place){.insn_addr = event->rip};
    code->other.symbol = intern(code, symbols_find(code->symbols, event->rip, &code->other.offset));
    return &code->other;
}

size_t code_format(char *text, size_t size, const char *insn, const char *file, unsigned line)
{
    int len = snprintf(text, size, "%s%s%s", insn ? insn : "", insn && file ? "  " : "",
                       file ? file : "");

    if (len >= 0 && (size_t)len < size && file)
        len += snprintf(text + len, size - (size_t)len, ":%u", line);
    return len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;
}
