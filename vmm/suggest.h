/*
 * suggest.h: for messages about what a user typed: the nearest known word, and a safe quotation.
 */
#ifndef KVMLENS_SUGGEST_H
#define KVMLENS_SUGGEST_H

#include <stddef.h>

#define SUGGEST_MAX 40 /* bytes; longer words get no suggestion */

/* The nearest of the words offered. Start with {.word = what was typed} (borrowed). */
struct suggestion {
    const char *word;
    char best[SUGGEST_MAX + 1]; /* empty: nothing offered is near enough */
    unsigned distance;
};

/* Offers NAME: taken if it is near WORD (Damerau-Levenshtein distance, optimal string alignment,
 * letter case ignored: at most one edit for every three letters) and nearer than what was before. */
void suggest_offer(struct suggestion *suggestion, const char *name);

/* A quotation: 'text'. Control and invisible characters and bytes that are not UTF-8 are shown as
 * \xNN, and a long text ends in "...". */
struct quoted {
    char text[72];
};

/* Quotes WORD into *QUOTED and returns its text. */
const char *quote(struct quoted *quoted, const char *word);

/* Bytes of the UTF-8 character (RFC 3629) at TEXT, which ends with a NUL, if a terminal can show it;
 * else 0: so for those that are invisible or reorder the text around them. */
size_t printable_character(const char *text);

/* quote() for use within one expression. */
#define QUOTE(word) quote(&(struct quoted){{0}}, word)

#endif
