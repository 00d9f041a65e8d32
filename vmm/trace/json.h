/*
 * json.h: JSON (RFC 8259) made fast: numbers, addresses and texts put one behind the other into a
 * buffer that is large enough, without formats to interpret.
 */
#ifndef KVMLENS_TRACE_JSON_H
#define KVMLENS_TRACE_JSON_H

#include <stddef.h>
#include <stdint.h>

#define JSON_NUMBER_MAX 20   /* bytes that json_number() and json_hex() write at most */
#define JSON_STRING_MAX 1024 /* bytes that json_string() writes at most */

/* Each writes at AT, without a NUL, and returns where the next byte goes. */
char *json_number(char *at, uint64_t value);
char *json_hex(char *at, uint64_t value);                         /* "0x3f8", in quotes */
char *json_hex_digits(char *at, uint64_t value);                  /* 3f8, without; 0 is 0 */
char *json_hex_bytes(char *at, const uint8_t *bytes, size_t len); /* "48690a", in quotes */
char *json_string(char *at, const char *text);                    /* cut where it is too long */
char *json_long_string(char *at, const char *text,
                       size_t size); /* SIZE bytes at most, 2 at least */

/* A literal: keys and braces. */
#define JSON_PUT(at, literal)                                                                      \
    ((char *)__builtin_memcpy(at, literal, sizeof(literal) - 1) + (sizeof(literal) - 1))

#endif
