/*
 * jsonl.h: the trace as JSON lines, and back: one object a line, by the schema of docs/trace.md.
 */
#ifndef KVMLENS_TRACE_JSONL_H
#define KVMLENS_TRACE_JSONL_H

#include "item.h"

#include <stddef.h>

#define JSONL_VERSION   1
#define JSONL_LINE_MAX  (256 * 1024) /* bytes a line, with its newline */
#define JSONL_TIME_MAX  (1ull << 53) /* ns, 104 days: what a double still counts exactly */
#define JSONL_VCPUS_MAX 1024

/* How the kinds of exits are written. */
struct jsonl_kind {
    const char *name; /* as vm_exit_kind_name() says it */
    enum vm_exit_kind kind;
    bool write;
    const char *raw; /* the raw name that goes without saying, or NULL */
};

/* Ends with a NULL name; VM_EXIT_OTHER is in it, so each kind is found. */
extern const struct jsonl_kind jsonl_kinds[];

struct jsonl_reader;

/* Reads the trace open as FD (borrowed), whose name for messages is NAME (borrowed). -1 with *err
 * (STATUS_IMAGE) if it is none, or one of a newer kind than this. */
int jsonl_open(struct jsonl_reader **reader, int fd, const char *name, struct error *err);
void jsonl_close(struct jsonl_reader *reader); /* NULL: nothing */

/* For the life of the reader, as all names in items; equal names are the same pointer. */
const struct trace_header *jsonl_header(const struct jsonl_reader *reader);

/* The next item, in the file's order, valid until the next call: an event's vcpu is below
 * header.vcpus (or TRACE_NO_VCPU), its times are below JSONL_TIME_MAX, its texts are fit for a
 * terminal. Lines that are damaged are passed over. 1; 0 at the end; or -1 with *err (STATUS_IMAGE)
 * if the file cannot be read on. */
int jsonl_next(struct jsonl_reader *reader, struct trace_item *item, struct error *err);

/* After the last item: the trace's footer, or, if there is none, what can be said without it: the
 * times and the number of the exits read. */
const struct trace_footer *jsonl_footer(const struct jsonl_reader *reader);

/* After the last item: what is missing in the file, as one line; NULL: nothing. */
const char *jsonl_complaint(struct jsonl_reader *reader);

#endif
