/*
 * test_plug.c: devices that cannot be plugged in, since the loop has no memory for their timers.
 */
#include "plug.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static bool no_memory;

/* In place of the C library's: the lists of the loop grow by it. */
void *reallocarray(void *from, size_t count, size_t size)
{
    if (no_memory) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(from, count * size);
}

typedef int (*plug_function)(struct plugged *out, const struct plug_site *site,
                             const struct virtio_option *option, struct error *err);

/* Whoever has a device in OUT unplugs it; a failure leaves none. */
static void a_failure_leaves_nothing_to_unplug(void **state)
{
    static const struct {
        plug_function plug;
        struct virtio_option option;
    } rows[] = {
        {plug_rng, {.kind = VIRTIO_RNG, .name = "rng", .rng.source = -1}},
        {plug_balloon, {.kind = VIRTIO_BALLOON, .name = "balloon"}},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct plugged plugged = {0};
        struct backends backends = {0};
        struct mem mem = {0};
        struct loop loop;
        struct error err;
        const struct plug_site site = {.backends = &backends, .mem = &mem, .loop = &loop};

        assert_int_equal(loop_init(&loop), 0);
        no_memory = true;
        assert_int_equal(rows[i].plug(&plugged, &site, &rows[i].option, &err), -1);
        no_memory = false;
        assert_int_equal(err.status, STATUS_INTERNAL);
        assert_null(plugged.dev);
        assert_int_equal(rows[i].plug(&plugged, &site, &rows[i].option, &err), 0);
        assert_non_null(plugged.dev);
        plugged.unplug(&plugged);
        loop_close(&loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_leaves_nothing_to_unplug),
    };

    return cmocka_run_group_tests_name("plug", tests, NULL, NULL);
}
