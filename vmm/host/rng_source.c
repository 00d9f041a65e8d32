/*
 * rng_source.c: where the entropy device's bytes come from (random(4), getrandom(2)).
 */
#include "rng_source.h"

#include "../log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define RETRY_NS 100000000ull /* getrandom(2) cannot be waited for with poll(2) */

struct rng_source {
    struct loop *loop;
    const struct rng_source_option *option;
    struct loop_fd file; /* fd -1: getrandom(2) */
    struct loop_timer retry;
    bool failed;
    void (*ready)(void *opaque);
    void *opaque;
};

static void try_again(void *opaque)
{
    struct rng_source *source = opaque;

    if (source->ready)
        source->ready(source->opaque);
}

static void file_ready(void *opaque, short revents)
{
    struct rng_source *source = opaque;

    (void)revents; /* an error shows itself at the next read */
    loop_want(source->loop, &source->file, 0);
    try_again(source);
}

int rng_source_open(struct rng_source **out, struct loop *loop,
                    const struct rng_source_option *option, struct error *err)
{
    struct rng_source *source = malloc(sizeof *source);

    if (!source)
        return error_set(err, STATUS_INTERNAL, "out of memory");
    *source = (struct rng_source){
        .loop = loop,
        .option = option,
        .file = {.fd = -1, .ready = file_ready, .opaque = source},
        .retry = {.fire = try_again, .opaque = source},
    };
    if (option->filename) {
        source->file.fd = open(option->filename, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        /* A folder is opened, but not read. */
        if (source->file.fd < 0 || (read(source->file.fd, NULL, 0) < 0 && errno == EISDIR)) {
            error_set(err, STATUS_USAGE, "-object rng-random,id=%s,filename=%s: %s", option->id,
                      option->filename, strerror(errno));
            rng_source_close(source);
            return -1;
        }
    }
    if (loop_add_fd(loop, &source->file) < 0 || loop_add_timer(loop, &source->retry) < 0) {
        rng_source_close(source);
        return error_set(err, STATUS_INTERNAL, "out of memory");
    }
    *out = source;
    return 0;
}

void rng_source_close(struct rng_source *source)
{
    if (!source)
        return;
    loop_remove_fd(source->loop, &source->file);
    loop_remove_timer(source->loop, &source->retry);
    if (source->file.fd >= 0)
        close(source->file.fd);
    free(source);
}

void rng_source_connect(struct rng_source *source, void (*ready)(void *opaque), void *opaque)
{
    source->ready = ready;
    source->opaque = opaque;
}

static void wait_for_more(struct rng_source *source)
{
    if (source->file.fd >= 0)
        loop_want(source->loop, &source->file, POLLIN);
    else
        loop_arm(source->loop, &source->retry, loop_now() + RETRY_NS);
}

/* A pipe that nobody has opened for writing yet reads as at its end; but poll(2) waits. */
static bool has_not_begun(const struct rng_source *source)
{
    struct pollfd look = {.fd = source->file.fd, .events = POLLIN};

    return poll(&look, 1, 0) == 0;
}

size_t rng_source_read(struct rng_source *source, void *bytes, size_t count)
{
    const struct rng_source_option *o = source->option;
    ssize_t n;

    if (source->failed || count == 0)
        return 0;
    do
        n = source->file.fd >= 0 ? read(source->file.fd, bytes, count)
                                 : getrandom(bytes, count, GRND_NONBLOCK);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return (size_t)n;
    if (n < 0 ? errno == EAGAIN : has_not_begun(source)) {
        wait_for_more(source);
        return 0;
    }
    source->failed = true;
    log_say("%s: %s; the guest's requests for random bytes wait from here on",
            o->filename ? o->filename : "getrandom", n < 0 ? strerror(errno) : "it has ended");
    return 0;
}
