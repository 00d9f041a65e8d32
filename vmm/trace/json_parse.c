/*
 * json_parse.c: JSON objects, taken apart (see json_parse.h; RFC 8259). The tokens are jsmn's.
 */
#include "json_parse.h"

#include "../suggest.h"

#include <errno.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS /* without them, each comma is a search */
#include <jsmn.h>

static void take_value(struct json_value *value, char *line, const jsmntok_t *token)
{
    value->text = line + token->start;
    value->len = (size_t)(token->end - token->start);
    switch (token->type) {
    case JSMN_STRING:
        value->type = JSON_TEXT;
        value->text[value->len] = '\0';
        break;
    case JSMN_OBJECT:
        value->type = JSON_OBJECT;
        break;
    case JSMN_ARRAY:
        value->type = JSON_ARRAY;
        break;
    case JSMN_PRIMITIVE:
    case JSMN_UNDEFINED:
        value->type = JSON_PRIMITIVE;
        break;
    }
}

int json_parse(char *line, size_t len,
               int (*member)(void *opaque, const char *key, struct json_value *value), void *opaque)
{
    jsmntok_t token[JSON_TOKENS_MAX];
    jsmn_parser parser;

    jsmn_init(&parser);
    int count = jsmn_parse(&parser, line, len, token, JSON_TOKENS_MAX);
    /* jsmn stops at a NUL, and goes on behind an object. */
    if (count < 1 || token[0].type != JSMN_OBJECT || parser.pos != len)
        return -EINVAL;
    for (int i = 1; i < count;) {
        struct json_value value;
        int next = i + 2;
        if (token[i].type != JSMN_STRING || token[i].parent != 0 || token[i].size != 1 ||
            next > count || token[i + 1].parent != i)
            return -EINVAL;
        while (next < count && token[next].start < token[i + 1].end)
            next++;
        line[token[i].end] = '\0';
        take_value(&value, line, &token[i + 1]);
        int r = member(opaque, line + token[i].start, &value);
        if (r != 0)
            return r;
        i = next;
    }
    return 0;
}

int json_get_number(const struct json_value *value, uint64_t max, uint64_t *number)
{
    uint64_t n = 0;

    if (value->type != JSON_PRIMITIVE || value->len == 0)
        return -EINVAL;
    for (size_t i = 0; i < value->len; i++) {
        unsigned digit = (unsigned)(value->text[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, digit, &n))
            return -EINVAL;
    }
    *number = n;
    return n <= max ? 0 : -EINVAL;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int json_get_hex(const struct json_value *value, uint64_t *number)
{
    uint64_t n = 0;

    if (value->type != JSON_TEXT || value->len < 3 || value->len > 18 ||
        memcmp(value->text, "0x", 2) != 0)
        return -EINVAL;
    for (size_t i = 2; i < value->len; i++) {
        int digit = hex_digit(value->text[i]);
        if (digit < 0)
            return -EINVAL;
        n = n << 4 | (unsigned)digit;
    }
    *number = n;
    return 0;
}

int json_get_bool(const struct json_value *value, bool *truth)
{
    *truth = value->len == 4 && memcmp(value->text, "true", 4) == 0;
    if (value->type != JSON_PRIMITIVE ||
        (!*truth && (value->len != 5 || memcmp(value->text, "false", 5) != 0)))
        return -EINVAL;
    return 0;
}

/* The character number behind \u, 4 digits that jsmn has seen to be hexadecimal. */
static uint32_t escaped_unit(const char *digits)
{
    uint32_t unit = 0;

    for (unsigned i = 0; i < 4; i++)
        unit = unit << 4 | (uint32_t)hex_digit((char)(digits[i] | 0x20));
    return unit;
}

static bool starts_surrogate(const char *text, uint32_t low, uint32_t *unit)
{
    if (text[0] != '\\' || text[1] != 'u')
        return false;
    *unit = escaped_unit(text + 2);
    return *unit >= low && *unit < low + 0x400;
}

/* Writes CHARACTER as UTF-8, or "?" for what is none. */
static char *put_character(char *out, uint32_t c)
{
    char text[5] = {0};

    if (c < 0x80) {
        text[0] = (char)c;
    } else if (c < 0x800) {
        text[0] = (char)(0xc0 | c >> 6);
        text[1] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        text[0] = (char)(0xe0 | c >> 12);
        text[1] = (char)(0x80 | (c >> 6 & 0x3f));
        text[2] = (char)(0x80 | (c & 0x3f));
    } else {
        text[0] = (char)(0xf0 | c >> 18);
        text[1] = (char)(0x80 | (c >> 12 & 0x3f));
        text[2] = (char)(0x80 | (c >> 6 & 0x3f));
        text[3] = (char)(0x80 | (c & 0x3f));
    }
    size_t len = printable_character(text);
    if (len == 0) {
        *out = '?';
        return out + 1;
    }
    memcpy(out, text, len);
    return out + len;
}

/* Undoes the escape at *TEXT, and moves it on. jsmn has checked its form. */
static char *undo_escape(char *out, const char **text)
{
    static const char from[] = "bfnrt";
    uint32_t c, low;

    if ((*text)[1] != 'u') {
        /* The control characters among them are for no terminal. */
        *out = memchr(from, (*text)[1], sizeof(from) - 1) ? '?' : (*text)[1];
        *text += 2;
        return out + 1;
    }
    c = escaped_unit(*text + 2);
    if (starts_surrogate(*text, 0xd800, &c) && starts_surrogate(*text + 6, 0xdc00, &low)) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        *text += 6;
    }
    *text += 6;
    return put_character(out, c);
}

char *json_get_text(struct json_value *value)
{
    const char *from = value->text, *end = value->text + value->len;
    char *out = value->text;

    if (value->type != JSON_TEXT)
        return NULL;
    while (from < end) {
        char c = *from;
        if (c >= 0x20 && c < 0x7f && c != '\\') {
            *out++ = c;
            from++;
        } else if (c == '\\') {
            out = undo_escape(out, &from);
        } else {
            size_t len = printable_character(from);
            if (len == 0)
                *out++ = '?';
            else
                out = (char *)memmove(out, from, len) + len;
            from += len ? len : 1;
        }
    }
    *out = '\0';
    value->len = (size_t)(out - value->text);
    return value->text;
}
