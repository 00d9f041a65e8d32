/*
 * json.c: JSON made fast (see json.h; RFC 8259).
 */
#include "json.h"

#include "../suggest.h"

#include <string.h>

static const char hex_digit[] = "0123456789abcdef";

char *json_number(char *at, uint64_t value)
{
    char digits[JSON_NUMBER_MAX];
    size_t len = 0;

    do
        digits[len++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (len > 0)
        *at++ = digits[--len];
    return at;
}

char *json_hex_digits(char *at, uint64_t value)
{
    unsigned shift = value ? (63u - (unsigned)__builtin_clzll(value)) & ~3u : 0;

    for (;; shift -= 4) {
        *at++ = hex_digit[value >> shift & 15];
        if (shift == 0)
            return at;
    }
}

char *json_hex(char *at, uint64_t value)
{
    at = JSON_PUT(at, "\"0x");
    at = json_hex_digits(at, value);
    *at++ = '"';
    return at;
}

char *json_hex_bytes(char *at, const uint8_t *bytes, size_t len)
{
    *at++ = '"';
    for (size_t i = 0; i < len; i++) {
        *at++ = hex_digit[bytes[i] >> 4];
        *at++ = hex_digit[bytes[i] & 15];
    }
    *at++ = '"';
    return at;
}

/* What one character of TEXT becomes; *TEXT moves behind it. */
static size_t escape(char out[6], const char **text)
{
    size_t len = printable_character(*text);
    char c = **text;

    if (len == 0) {
        *text += 1;
        if ((unsigned char)c < 0x80) {
            memcpy(out, "\\u00", 4);
            out[4] = hex_digit[c >> 4];
            out[5] = hex_digit[c & 15];
        } else {
            memcpy(out, "\\ufffd", 6);
        }
        return 6;
    }
    if (c == '"' || c == '\\') {
        *text += 1;
        out[0] = '\\';
        out[1] = c;
        return 2;
    }
    memcpy(out, *text, len);
    *text += len;
    return len;
}

char *json_long_string(char *at, const char *text, size_t size)
{
    char *end = at + size - 1; /* the closing quote's, at the latest */

    *at++ = '"';
    while (*text != '\0' && at < end) {
        char c = *text;
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            *at++ = c;
            text++;
            continue;
        }
        char escaped[6];
        size_t len = escape(escaped, &text);
        if (len > (size_t)(end - at))
            break;
        memcpy(at, escaped, len);
        at += len;
    }
    *at++ = '"';
    return at;
}

char *json_string(char *at, const char *text)
{
    return json_long_string(at, text, JSON_STRING_MAX);
}
