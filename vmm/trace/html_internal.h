/*
 * html_internal.h: what the files of the html sink share: html.c (the sink, and the page's facts),
 * html_block.c (the events, in columns).
 *
 *   page.html with its style and script
 *   <script type="application/x-kvmlens-facts">  the header: numbers, and numbers of strings
 *   <script type="application/x-kvmlens-block">  up to HTML_BLOCK_EVENTS events, and the strings,
 *                                                accesses, places and explanations that are new
 *   ...                                          as often as needed
 *   <script type="application/x-kvmlens-facts">  the footer
 *
 * A block is base64 of its columns, in the order of enum html_column: each is its length and then
 * its numbers, all in LEB128 (DWARF 5, section 7.6). So nothing that a guest or a user named can end
 * a script early, and a file that was cut short still shows all blocks but the last.
 */
#ifndef KVMLENS_TRACE_HTML_INTERNAL_H
#define KVMLENS_TRACE_HTML_INTERNAL_H

#include "buffer.h"
#include "item.h"

#define HTML_BLOCK_EVENTS  8192
#define HTML_TABLE_SLOTS   (1u << 16) /* a power of two */
#define HTML_TABLE_ENTRIES (HTML_TABLE_SLOTS / 4 * 3)

/* vmm/trace/page/data.js has the same columns in the same order. "s" is the number of a string, 0
 * for none. */
enum html_column {
    HTML_STRINGS, /* the bytes of each, and a NUL */
    /* Accesses: what an exit is, without its time, data and place. */
    HTML_WHAT_FAMILY, /* enum html_family */
    HTML_WHAT_KIND,   /* s */
    HTML_WHAT_DEVICE, /* s */
    HTML_WHAT_REG,    /* s */
    HTML_WHAT_ADDR,
    HTML_WHAT_SIZE,
    HTML_WHAT_COUNT,
    HTML_WHAT_DETAIL,
    HTML_WHAT_DETAIL_NAME, /* s */
    HTML_WHAT_RAW,         /* s */
    HTML_WHAT_WHY_KIND,    /* number of the explanation of its kind; 0: none */
    HTML_WHAT_WHY_REG,     /* and of its register */
    /* Places in the guest's code. */
    HTML_PLACE_RIP,
    HTML_PLACE_SYMBOL, /* s */
    HTML_PLACE_OFFSET,
    HTML_PLACE_FILE, /* s */
    HTML_PLACE_LINE,
    HTML_PLACE_INSN, /* s */
    /* Explanations (explain.h), all s. */
    HTML_WHY_NAME,
    HTML_WHY_CAUSE,
    HTML_WHY_EFFECT,
    HTML_WHY_SOURCE,
    /* Events. */
    HTML_START, /* less that of the event before; zigzag: 0, -1, 1, -2, ... are 0, 1, 2, 3, ... */
    HTML_GUEST,
    HTML_VMM,
    HTML_VCPU, /* 1 more; 0: none */
    HTML_WHAT,
    HTML_PLACE,
    HTML_TEXT,     /* s */
    HTML_REMARK,   /* s */
    HTML_DATA_LEN, /* bytes of it in HTML_DATA */
    HTML_DATA,
    HTML_REGISTERS, /* 0, or a bit for each that differs from those before, and bit 17; then the
                       exclusive or of each with that before, which is 0 where a block begins */
    HTML_COLUMNS
};

enum html_family {
    HTML_PIO,
    HTML_MMIO,
    HTML_CPU, /* halted, interrupted, ... */
    HTML_FAILURE,
    HTML_NOTE,
    HTML_KERNEL
};

struct html_bytes {
    unsigned char *bytes;
    size_t used, room;
};

/* Numbers, from 1 on, for keys (any bytes) that were seen before. When it is full, a key that is not
 * in it gets a new number each time: the page grows, and nothing else. */
struct html_table {
    uint32_t last; /* the greatest number */
    uint32_t used;
    struct html_slot {
        uint32_t hash, number; /* number 0: free */
        uint32_t key, len;     /* where it is in keys */
    } * slot;                  /* HTML_TABLE_SLOTS */
    struct html_bytes keys;
};

struct html_blocks {
    struct trace_buffer *out;
    int error; /* the first, -errno */
    unsigned events;
    uint64_t start_ns;
    uint64_t registers[17];
    struct html_table strings, whats, places;
    uint32_t *why; /* by number in explanations[]: the page's number; 0: not there */
    uint32_t whys;
    struct html_bytes column[HTML_COLUMNS];
    struct html_bytes raw; /* a block, before it is base64 */
};

/* All return 0 or -errno. */
int html_blocks_init(struct html_blocks *blocks, struct trace_buffer *out);
int html_blocks_add(struct html_blocks *blocks, const struct trace_item *item);
int html_blocks_write(struct html_blocks *blocks); /* what has not been written yet */
void html_blocks_destroy(struct html_blocks *blocks);

/* The number of TEXT, which may be NULL. It is in the block that is written next. */
uint64_t html_string(struct html_blocks *blocks, const char *text);

#endif
