/*
 * expect_diagnosis.h: checks of the sentence on a dead_guest. Include it behind cmocka.h.
 */
#ifndef KVMLENS_TEST_EXPECT_DIAGNOSIS_H
#define KVMLENS_TEST_EXPECT_DIAGNOSIS_H

#include "dead_guest.h"
#include "diagnose.h"

/* The sentence must have all of WORDS (ended by NULL), and be a sentence. */
static inline void expect_diagnosis(struct dead_guest *g, const char *const words[])
{
    char text[DIAGNOSIS_MAX];

    diagnose(&g->dead, text, sizeof(text));
    for (; *words; words++) {
        if (!strstr(text, *words))
            fail_msg("'%s' is not in '%s'", *words, text);
    }
    assert_int_equal(text[strlen(text) - 1], '.');
    assert_null(strstr(text, "(null)"));
}

#define EXPECT(g, ...) expect_diagnosis(g, (const char *const[]){__VA_ARGS__, NULL})
#define TRIPLE         " could not be delivered: exception -> double fault -> triple fault."

/* An instruction that raises #UD. */
static inline void ud2(struct dead_guest *g)
{
    set_code(g, "\x0f\x0b", 2);
}

static inline int set_up_guest(void **state)
{
    *state = dead_guest_create();
    return 0;
}

static inline int tear_down_guest(void **state)
{
    free(*state);
    return 0;
}

#define WITH_GUEST(test) cmocka_unit_test_setup_teardown(test, set_up_guest, tear_down_guest)

#endif
