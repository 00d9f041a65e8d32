/*
 * json_parse.h: one JSON object (RFC 8259) on a line of text, taken apart member by member. The text
 * may be anybody's: nothing in it is believed.
 */
#ifndef KVMLENS_TRACE_JSON_PARSE_H
#define KVMLENS_TRACE_JSON_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_TOKENS_MAX 512 /* keys and values an object, all levels together */

struct json_value {
    enum { JSON_TEXT, JSON_OBJECT, JSON_ARRAY, JSON_PRIMITIVE } type;
    char *text; /* a text's without its quotes */
    size_t len;
};

/* Calls MEMBER for each member of the object that the LEN bytes of LINE are, in their order. LINE is
 * altered, and the byte behind it is written to. 0, or -EINVAL if it is no object; or what MEMBER
 * returned, if not 0, at once. */
int json_parse(char *line, size_t len,
               int (*member)(void *opaque, const char *key, struct json_value *value),
               void *opaque);

/* What a value is; -EINVAL if it is not of that type, or above MAX. */
int json_get_number(const struct json_value *value, uint64_t max, uint64_t *number);
int json_get_hex(const struct json_value *value, uint64_t *number); /* a text: "0x3f8" */
int json_get_bool(const struct json_value *value, bool *truth);

/* The text, within LINE, its escapes undone, its end a NUL; "?" stands for what a terminal should
 * not see. NULL if it is no text. To be called once. */
char *json_get_text(struct json_value *value);

#endif
