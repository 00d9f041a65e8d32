/*
 * histogram.h: how often a duration occurred, in a fixed amount of memory.
 *
 * Buckets are log-linear: each power of two is cut into 2^HISTOGRAM_SUB_BITS equal parts, so that
 * a value found again is off by at most half a bucket: 1/32 of it (3.1 %).
 */
#ifndef KVMLENS_HISTOGRAM_H
#define KVMLENS_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 4
#define HISTOGRAM_MAX_BITS 40 /* longer than 2^40 ns, 18 minutes, counts in the last bucket */
#define HISTOGRAM_BUCKETS  ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

/* Zero-initialise. */
struct histogram {
    uint64_t count, sum, max; /* exact */
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* Adds all of FROM to INTO. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest value that at least PERMILLE of 1000 values do not exceed, as the middle of its
 * bucket; 0 if there are no values. */
uint64_t histogram_percentile(const struct histogram *histogram, unsigned permille);

#endif
