/*
 * fuzz.h: what each fuzzer has: the input, taken byte by byte, and a check that says where it fails.
 */
#ifndef KVMLENS_FUZZ_H
#define KVMLENS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_THAT(condition, text)                                                                \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, text);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
#define CHECK(condition) CHECK_THAT(condition, #condition)
#define BENCH_CHECK      CHECK /* in the benches that unit tests have as well */

struct input {
    const uint8_t *data;
    size_t left;
};

/* 0 when there are no more. */
static inline uint8_t input_byte(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->data++;
}

#endif
