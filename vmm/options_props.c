/*
 * options_props.c: arguments of the form NAME=VALUE,..., and the values themselves.
 * Source: QEMU docs/system/invocation, "Some options": a comma within a value is doubled.
 */
#include "options_internal.h"

#include "suggest.h"

#include <string.h>

int option_help(struct option_parser *parser, const char *topic)
{
    parser->options->mode = MODE_HELP;
    parser->options->help_topic = topic;
    return 0;
}

int parse_on_off(struct option_parser *parser, const char *property, const char *value, bool *on)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true", "n", "y"};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(value, words[i]) == 0) {
            *on = i & 1;
            return 0;
        }
    return option_error(parser, "%s is on or off, not %s", property, QUOTE(value));
}

/* The value of a digit, or BASE if C is none. */
static unsigned digit(char c, unsigned base)
{
    unsigned value = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                            : base;

    return value < base ? value : base;
}

int parse_number(struct option_parser *parser, const char *property, const char *value,
                 uint64_t min, uint64_t max, uint64_t *number)
{
    bool hex = value[0] == '0' && (value[1] == 'x' || value[1] == 'X');
    unsigned base = hex ? 16 : 10;
    const char *c = hex ? value + 2 : value;
    bool fits = true;
    uint64_t sum = 0;

    if (!*c)
        c = "?"; /* no digit at all is no number */
    for (; digit(*c, base) < base; c++) {
        fits = fits && sum <= (UINT64_MAX - base) / base;
        sum = sum * base + digit(*c, base);
    }
    if (*c)
        return option_error(parser, "%s%sa number is expected, not %s", property ? property : "",
                            property ? ": " : "", QUOTE(value));
    if (!fits || sum < min || sum > max)
        return option_error(parser,
                            hex ? "%s%s%s is out of range: 0x%llx to 0x%llx"
                                : "%s%s%s is out of range: %llu to %llu",
                            property ? property : "", property ? "=" : "", QUOTE(value),
                            (unsigned long long)min, (unsigned long long)max);
    *number = sum;
    return 0;
}

/* Cuts the next item off *REST: up to a single comma; a double one is a comma of the item. *REST
 * becomes NULL at the end. */
static char *take_item(char **rest)
{
    char *item = *rest, *to = item;

    for (const char *from = item;; from++) {
        if (*from == ',' && from[1] == ',') {
            from++;
        } else if (*from == ',' || !*from) {
            *rest = *from ? item + (from - item) + 1 : NULL;
            *to = '\0';
            return item;
        }
        *to++ = *from;
    }
}

/* True if VALUE is one of VALUES ("off|auto"). */
static bool is_one_of(const char *value, const char *values)
{
    size_t len = strlen(value);

    for (const char *word = values; *word; word += strspn(word, "|")) {
        size_t word_len = strcspn(word, "|");

        if (len == word_len && memcmp(word, value, len) == 0)
            return true;
        word += word_len;
    }
    return false;
}

static int unknown_property(struct option_parser *parser, const struct property *table,
                            const char *topic, const char *name)
{
    struct suggestion near = {.word = name};

    for (const struct property *p = table; p->name; p++)
        if (p->set)
            suggest_offer(&near, p->name);
    if (near.best[0])
        return option_error(parser, "there is no property %s; did you mean %s?", QUOTE(name),
                            near.best);
    if (topic)
        return option_error(parser, "there is no property %s; `kvmlens -h %s` lists them",
                            QUOTE(name), topic);
    return option_error(parser, "there is no property %s", QUOTE(name));
}

int property_set(struct option_parser *parser, const struct property *table, const char *topic,
                 const char *name, const char *value)
{
    const struct property *property = table;

    while (property->name && strcmp(property->name, name) != 0)
        property++;
    if (!property->name)
        return unknown_property(parser, table, topic, name);
    if (!property->set && !property->values)
        return option_error(parser, "QEMU has the property %s, kvmlens has not", name);
    if (!value)
        return option_error(parser, "%s needs a value: %s=%s", name, name, property->values);
    if (property->set)
        return property->set(parser, value);
    if (!is_one_of(value, property->values))
        return option_error(parser, "%s=%s is what kvmlens has, not %s", name, property->values,
                            QUOTE(value));
    return 0;
}

/* QEMU's old spelling of a switch, which its -machine has no more: NAME is NAME=on, and noNAME is
 * NAME=off. Its value, or NULL. */
static const char *switch_alone(const struct option_parser *parser, const struct property *table,
                                char **name)
{
    if (strcmp(parser->def->name, "machine") == 0)
        return NULL;
    for (const struct property *p = table; p->name; p++) {
        if (!p->values || !(is_one_of("on", p->values) || is_one_of("off", p->values)))
            continue;
        if (strcmp(*name, p->name) == 0)
            return "on";
        if (strncmp(*name, "no", 2) == 0 && strcmp(*name + 2, p->name) == 0) {
            *name += 2;
            return "off";
        }
    }
    return NULL;
}

int properties_parse(struct option_parser *parser, const struct property *table,
                     const char *implied, const char *topic, char *argument)
{
    char *rest = argument;

    while (rest) {
        char *name = take_item(&rest), *equals = strchr(name, '=');
        const char *value = NULL;

        if (topic && (strcmp(name, "help") == 0 || strcmp(name, "?") == 0))
            return option_help(parser, topic);
        if (!*name)
            return option_error(parser, "an argument or property is missing: %s",
                                parser->def->argument);
        if (equals) {
            *equals = '\0';
            value = equals + 1;
        } else if (implied) {
            value = name;
            name = (char *)(uintptr_t)implied;
        } else {
            value = switch_alone(parser, table, &name);
        }
        if (property_set(parser, table, topic, name, value) < 0)
            return -1;
        if (parser->options->mode != MODE_RUN)
            return 0;
        implied = NULL;
    }
    return 0;
}
