/*
 * fake_wires.h: the world as a device sees it, for tests: an interrupt line, a clock that the test
 * advances, and a timer.
 */
#ifndef KVMLENS_FAKE_WIRES_H
#define KVMLENS_FAKE_WIRES_H

#include "device.h"
#include "irq.h"

struct fake_wires {
    bool level;
    unsigned gsi;
    unsigned rises;   /* how often the line went up */
    unsigned repeats; /* how often the line was told the level that it had already */
    uint64_t now;
    uint64_t deadline; /* 0: disarmed */
    unsigned arms;
};

static inline void fake_wires_set(void *opaque, unsigned gsi, bool level)
{
    struct fake_wires *wires = opaque;
    wires->gsi = gsi;
    wires->rises += level && !wires->level;
    wires->repeats += level == wires->level;
    wires->level = level;
}

static inline uint64_t fake_wires_now(void *opaque)
{
    const struct fake_wires *wires = opaque;
    return wires->now;
}

static inline void fake_wires_arm(void *opaque, uint64_t deadline)
{
    struct fake_wires *wires = opaque;
    wires->deadline = deadline;
    wires->arms++;
}

static inline struct irq_line fake_irq(struct fake_wires *wires, unsigned gsi)
{
    return (struct irq_line){.set = fake_wires_set, .opaque = wires, .gsi = gsi};
}

static inline struct device_clock fake_clock(struct fake_wires *wires)
{
    return (struct device_clock){.now = fake_wires_now, .opaque = wires};
}

static inline struct device_timer fake_timer(struct fake_wires *wires)
{
    return (struct device_timer){.arm = fake_wires_arm, .opaque = wires};
}

/* Lets NS nanoseconds pass. True if the timer, which is one-shot, has come due. */
static inline bool fake_wires_pass(struct fake_wires *wires, uint64_t ns)
{
    wires->now += ns;
    if (wires->deadline == 0 || wires->now < wires->deadline) {
        return false;
    }
    wires->deadline = 0;
    return true;
}

#endif
