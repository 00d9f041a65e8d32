/*
 * names.h: names kept once each, so that equal ones are the same pointer.
 */
#ifndef KVMLENS_TRACE_NAMES_H
#define KVMLENS_TRACE_NAMES_H

#include <stddef.h>

#define NAMES_MAX       (1u << 20)         /* names kept; all beyond are NAMES_TOO_MANY */
#define NAMES_BYTES_MAX (64 * 1024 * 1024) /* and bytes of them */
#define NAMES_TOO_MANY  "(too many names)"

struct names;

struct names *names_create(void);        /* NULL: out of memory */
void names_destroy(struct names *names); /* NULL: nothing */

/* The name of the LEN bytes at TEXT, as a string that lives as long as NAMES. Never NULL. */
const char *names_keep(struct names *names, const char *text, size_t len);

#endif
