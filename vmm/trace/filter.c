/*
 * filter.c: which events an output shows (see filter.h; fnmatch(3)).
 */
#include "filter.h"

#include "../suggest.h"
#include "item.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum what { CPU, EXIT, DEVICE, REG, PORT, GPA, SYMBOL, COST, WHATS };

static const char *const name[WHATS] = {"cpu",  "exit", "device", "reg",
                                        "port", "gpa",  "symbol", "cost"};

/* --- parsing ------------------------------------------------------------------------------------ */

/* A decimal number, or a hexadecimal one after 0x; returns behind it, or NULL. */
static char *parse_number(char *text, uint64_t *number)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    char *digits = hex ? text + 2 : text, *end = digits;

    if (!strchr(hex ? "0123456789abcdefABCDEF" : "0123456789", *digits) || !*digits)
        return NULL;
    errno = 0;
    *number = strtoull(digits, &end, hex ? 16 : 10);
    return errno == 0 ? end : NULL;
}

static int add_range(struct filter *filter, struct filter_term *term, char *value,
                     struct error *err)
{
    struct filter_range range;
    char *end = parse_number(value, &range.from);

    range.to = range.from;
    if (end && *end == '-')
        end = parse_number(end + 1, &range.to);
    if (!end || *end)
        return error_set(err, STATUS_USAGE,
                         "%s=%s: a number or a range (0x3f8-0x3ff) is expected, not %s",
                         name[term->what], value, QUOTE(value));
    if (range.from > range.to)
        return error_set(err, STATUS_USAGE, "%s=%s: the range ends before it begins",
                         name[term->what], value);
    if (filter->ranges == FILTER_RANGES_MAX)
        return error_set(err, STATUS_USAGE, "a filter has %d numbers and ranges at most",
                         FILTER_RANGES_MAX);
    filter->range[filter->ranges++] = range;
    return 0;
}

/* KIND, unless it is a pattern or an event of KVM's own, has to be one that occurs. */
static int check_kind(const char *kind, struct error *err)
{
    struct suggestion near = {.word = kind};

    if (strpbrk(kind, "*?[\\") || strncmp(kind, "kvm_", 4) == 0)
        return 0;
    for (unsigned i = 0; i < VM_EXIT_KINDS * 4; i++) {
        const struct vm_exit exit = {.kind = i / 4, .write = i & 2, .count = i & 1 ? 2 : 1};
        if (strcasecmp(kind, vm_exit_kind_name(&exit)) == 0)
            return 0;
        suggest_offer(&near, vm_exit_kind_name(&exit));
    }
    if (near.best[0])
        return error_set(err, STATUS_USAGE, "exit=%s: there is no such exit; did you mean '%s'?",
                         kind, near.best);
    return error_set(err, STATUS_USAGE,
                     "exit=%s: there is no such exit; they are out, in, outs, ins, 'mmio read', "
                     "'mmio write', note and others (docs/exits.md)",
                     kind);
}

static int parse_cost(struct filter *filter, struct filter_term *term, char *value,
                      struct error *err)
{
    static const struct {
        const char *word;
        double ns;
    } unit[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    char *end = value;
    double number = *value >= '0' && *value <= '9' ? strtod(value, &end) : -1;

    for (unsigned i = 0; number >= 0 && i < sizeof(unit) / sizeof(unit[0]); i++) {
        if (strcmp(end, unit[i].word) == 0 && number * unit[i].ns < 1e18) {
            filter->range[filter->ranges++] =
                (struct filter_range){(uint64_t)(number * unit[i].ns + 0.5), UINT64_MAX};
            term->count = 1;
            return 0;
        }
    }
    return error_set(err, STATUS_USAGE,
                     "cost>=%s: a time is expected, as in 500ns, 10us, 1.5ms, 2s", value);
}

/* The values of TERM, between "|". */
static int parse_values(struct filter *filter, struct filter_term *term, char *value,
                        struct error *err)
{
    bool number = term->what == CPU || term->what == PORT || term->what == GPA;

    term->first = (uint16_t)(number ? filter->ranges : (unsigned)(value - filter->text));
    for (char *next = value; next; term->count++) {
        value = next;
        next = strchr(value, '|');
        if (next)
            *next++ = '\0';
        if (!*value)
            return error_set(err, STATUS_USAGE, "%s= needs a value", name[term->what]);
        if (number ? add_range(filter, term, value, err) < 0
                   : term->what == EXIT && check_kind(value, err) < 0)
            return -1;
    }
    return 0;
}

static int parse_term(struct filter *filter, char *text, struct error *err)
{
    struct filter_term *term = &filter->term[filter->terms];

    if (filter->terms == FILTER_TERMS_MAX)
        return error_set(err, STATUS_USAGE, "a filter has %d terms at most", FILTER_TERMS_MAX);
    if (filter->ranges == FILTER_RANGES_MAX)
        return error_set(err, STATUS_USAGE, "a filter has %d numbers and ranges at most",
                         FILTER_RANGES_MAX);
    term->negated = *text == '!';
    text += term->negated;

    char *end = text + strcspn(text, "=<>|"), relation = *end;
    struct suggestion near = {.word = text};

    *end = '\0';
    for (term->what = 0; term->what < WHATS && strcmp(text, name[term->what]) != 0; term->what++)
        suggest_offer(&near, name[term->what]);
    if (term->what == WHATS)
        return error_set(err, STATUS_USAGE, "there is no filter %s; %s%s%s", QUOTE(text),
                         near.best[0] ? "did you mean " : "there are " FILTER_SYNTAX, near.best,
                         near.best[0] ? "?" : "");
    filter->terms++;
    if (term->what == COST) {
        term->first = (uint16_t)filter->ranges;
        if (relation != '>' || end[1] != '=')
            return error_set(err, STATUS_USAGE, "a cost has a least value: cost>=10us");
        return parse_cost(filter, term, end + 2, err);
    }
    if (relation != '=')
        return error_set(err, STATUS_USAGE, "%s needs a value: %s=...", text, text);
    return parse_values(filter, term, end + 1, err);
}

int filter_parse(struct filter *filter, const char *expr, struct error *err)
{
    *filter = (struct filter){0};
    if (strlen(expr) >= FILTER_TEXT_MAX)
        return error_set(err, STATUS_USAGE, "a filter has %d characters at most",
                         FILTER_TEXT_MAX - 1);
    strcpy(filter->text, expr);
    for (char *text = filter->text, *next; text; text = next) {
        next = strchr(text, '+');
        if (next)
            *next++ = '\0';
        if (!*text)
            return error_set(err, STATUS_USAGE, "a term of the filter is missing; there are %s",
                             FILTER_SYNTAX);
        if (parse_term(filter, text, err) < 0)
            return -1;
    }
    return 0;
}

/* --- matching ----------------------------------------------------------------------------------- */

static bool in_ranges(const struct filter *filter, const struct filter_term *term, uint64_t from,
                      uint64_t to)
{
    for (unsigned i = 0; i < term->count; i++) {
        const struct filter_range *range = &filter->range[term->first + i];
        if (from <= range->to && to >= range->from)
            return true;
    }
    return false;
}

static bool access_in_ranges(const struct filter *filter, const struct filter_term *term,
                             const struct trace_event *event)
{
    uint64_t last = event->addr + (event->size > 0 ? event->size - 1u : 0);

    return in_ranges(filter, term, event->addr, last < event->addr ? UINT64_MAX : last);
}

static bool any_pattern(const struct filter *filter, const struct filter_term *term,
                        const char *word)
{
    const char *pattern = filter->text + term->first;

    for (unsigned i = 0; word && i < term->count; i++, pattern += strlen(pattern) + 1) {
        if (fnmatch(pattern, word, FNM_CASEFOLD) == 0)
            return true;
    }
    return false;
}

static bool term_matches(const struct filter *filter, const struct filter_term *term,
                         const struct trace_item *item)
{
    const struct trace_event *event = item->event;
    bool port = event->kind == VM_EXIT_PIO, gpa = event->kind == VM_EXIT_MMIO;
    bool exit = event->kind != VM_EXIT_NOTE && event->kind != VM_EXIT_KERNEL;

    switch ((enum what)term->what) {
    case CPU:
        return event->vcpu != TRACE_NO_VCPU && in_ranges(filter, term, event->vcpu, event->vcpu);
    case EXIT:
        return any_pattern(filter, term, item->kind);
    case DEVICE:
        return any_pattern(filter, term,
                           event->device ? event->device
                           : port || gpa ? "nobody"
                                         : NULL);
    case REG:
        return any_pattern(filter, term, event->reg);
    case PORT:
        return port && access_in_ranges(filter, term, event);
    case GPA:
        return gpa && access_in_ranges(filter, term, event);
    case SYMBOL:
        return any_pattern(filter, term, item->symbol);
    case COST: {
        uint64_t cost = event->guest_ns + event->vmm_ns;
        return exit && in_ranges(filter, term, cost, cost);
    }
    case WHATS:
        break;
    }
    return false;
}

bool filter_match(const struct filter *filter, const struct trace_item *item)
{
    for (unsigned i = 0; i < filter->terms; i++) {
        if (term_matches(filter, &filter->term[i], item) == filter->term[i].negated)
            return false;
    }
    return true;
}
