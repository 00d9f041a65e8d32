/*
 * options_object.c: -object: what devices and networks use beside their other halves.
 * Source: qemu-system-x86_64(1), "Generic object creation".
 */
#include "options_backends.h"

#include "suggest.h"

#include <string.h>

const struct object_kind object_kinds[] = {
    {"filter-dump", "writes the frames of a network to a pcap file", dump_properties, object_dump},
    {"rng-builtin", "random bytes for a virtio-rng-device, from getrandom(2)",
     rng_builtin_properties, object_rng_builtin},
    {"rng-random", "random bytes for a virtio-rng-device, from a file", rng_random_properties,
     object_rng_random},
    {0},
};

const struct object_kind *object_find_kind(const char *name)
{
    for (const struct object_kind *kind = object_kinds; kind->name; kind++)
        if (strcmp(kind->name, name) == 0)
            return kind;
    return NULL;
}

int option_object(struct option_parser *parser, char *argument)
{
    char *name = strncmp(argument, "qom-type=", 9) == 0 ? argument + 9 : argument;
    char *comma = strchr(name, ',');
    struct suggestion near = {.word = name};

    if (comma)
        *comma = '\0';
    if (strcmp(name, "help") == 0 || strcmp(name, "?") == 0)
        return option_help(parser, "object");

    const struct object_kind *kind = object_find_kind(name);

    if (kind)
        return kind->parse(parser, comma ? comma + 1 : NULL);
    for (kind = object_kinds; kind->name; kind++)
        suggest_offer(&near, kind->name);
    return option_error(parser, "there is no object %s; %s%s%s", QUOTE(name),
                        near.best[0] ? "did you mean " : "-object help lists them", near.best,
                        near.best[0] ? "?" : "");
}
