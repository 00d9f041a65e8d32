/*
 * suggest.c: the nearest known word, and a safe quotation (see suggest.h).
 */
#include "suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace a letter, swap two neighbours) between A and B, both of at most
 * SUGGEST_MAX letters. */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][SUGGEST_MAX + 1];
    unsigned *before = rows[0], *previous = rows[1], *current = rows[2];

    for (unsigned j = 0; j <= b_len; j++)
        current[j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned *oldest = before;

        before = previous;
        previous = current;
        current = oldest;
        current[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

            current[j] = least(least(previous[j], current[j - 1]) + 1, previous[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                current[j] = least(current[j], before[j - 2] + 1);
        }
    }
    return current[b_len];
}

void suggest_offer(struct suggestion *suggestion, const char *name)
{
    size_t word_len = strnlen(suggestion->word, SUGGEST_MAX + 1), name_len = strlen(name);

    if (word_len > SUGGEST_MAX || name_len > SUGGEST_MAX)
        return;

    unsigned distance = edit_distance(suggestion->word, word_len, name, name_len);

    if (distance * 3 > (word_len > name_len ? word_len : name_len))
        return;
    if (suggestion->best[0] && suggestion->distance <= distance)
        return;
    memcpy(suggestion->best, name, name_len + 1);
    suggestion->distance = distance;
}

/* Characters that show nothing themselves, or turn the others' direction or order (Unicode's Cf, its
 * tags and variation selectors), in UTF-8 from FIRST to LAST: text may hide in them. */
static bool is_invisible(const unsigned char *s, size_t len)
{
    static const struct {
        char first[5], last[5];
    } ranges[] = {
        {"\xd8\x9c", "\xd8\x9c"},                 /* U+061C */
        {"\xe2\x80\x8b", "\xe2\x80\x8f"},         /* U+200B to U+200F */
        {"\xe2\x80\xa8", "\xe2\x80\xae"},         /* U+2028 to U+202E */
        {"\xe2\x81\xa0", "\xe2\x81\xa9"},         /* U+2060 to U+2069 */
        {"\xef\xbb\xbf", "\xef\xbb\xbf"},         /* U+FEFF */
        {"\xef\xbf\xb9", "\xef\xbf\xbb"},         /* U+FFF9 to U+FFFB */
        {"\xf3\xa0\x80\x80", "\xf3\xa0\xbf\xbf"}, /* U+E0000 to U+E0FFF */
    };

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (strlen(ranges[i].first) == len && memcmp(s, ranges[i].first, len) >= 0 &&
            memcmp(s, ranges[i].last, len) <= 0)
            return true;
    return false;
}

size_t printable_character(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7f;

    size_t len = s[0] >= 0xc2 && s[0] < 0xe0   ? 2
                 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                               : 0;

    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, what is beyond Unicode, and the C1 control characters. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90) ||
        (s[0] == 0xc2 && s[1] < 0xa0))
        return 0;
    return is_invisible(s, len) ? 0 : len;
}

const char *quote(struct quoted *quoted, const char *word)
{
    const char *s = word;
    char *to = quoted->text;
    /* What must still fit after each character: "..." and the closing quote and the NUL. */
    const char *end = quoted->text + sizeof(quoted->text) - sizeof("...'");

    *to++ = '\'';
    while (*s) {
        size_t len = printable_character(s);
        char escaped[5];

        if (len == 0)
            snprintf(escaped, sizeof(escaped), "\\x%02x", (unsigned char)*s);

        const char *from = len ? s : escaped;
        size_t size = len ? len : 4;

        if (to + size > end) {
            memcpy(to, "...", 3);
            to += 3;
            break;
        }
        memcpy(to, from, size);
        to += size;
        s += len ? len : 1;
    }
    memcpy(to, "'", 2);
    return quoted->text;
}
