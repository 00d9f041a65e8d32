/*
 * histogram.c: a log-linear histogram, after the idea of HdrHistogram.
 */
#include "histogram.h"

#define SUB_COUNT (1u << HISTOGRAM_SUB_BITS)

static unsigned bucket_of(uint64_t value)
{
    if (value < SUB_COUNT)
        return (unsigned)value;
    if (value >> HISTOGRAM_MAX_BITS)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + ((unsigned)(value >> shift) & (SUB_COUNT - 1));
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t low = (uint64_t)(SUB_COUNT + (bucket & (SUB_COUNT - 1))) << shift;
    return low + (((uint64_t)1 << shift) - 1) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->bucket[bucket_of(value)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
}

uint64_t histogram_percentile(const struct histogram *histogram, unsigned permille)
{
    /* Whole thousands apart from the rest, so that no count overflows. */
    uint64_t count = histogram->count, seen = 0;
    uint64_t rank = count / 1000 * permille + (count % 1000 * permille + 999) / 1000;

    if (count == 0)
        return 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen >= rank && histogram->bucket[i] > 0) {
            uint64_t middle = middle_of(i);
            return i == HISTOGRAM_BUCKETS - 1 || middle > histogram->max ? histogram->max : middle;
        }
    }
    return histogram->max;
}
