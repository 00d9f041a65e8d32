/*
 * explain.c: the table of explanations, and `kvmlens explain` (see explain.h).
 */
#include "explain.h"

#include "../log.h"
#include "../suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS 80

/* Each .def file is a plain part of the table. */
/* clang-format off */
const struct explanation explanations[] = {
#include "explain_exits.def"
#include "explain_devices.def"
#include "explain_irqchip.def"
#include "explain_kernel.def"
    {NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

/* --- finding ------------------------------------------------------------------------------------ */

/* NAME is what the table calls PATTERN; "kvm_hv_*" stands for all that begin so. */
static bool is_name(const char *pattern, const char *name, bool exact)
{
    size_t len = strlen(pattern);

    if (pattern[len - 1] == '*')
        len--;
    else if (strlen(name) != len)
        return false;
    return (exact ? strncmp : strncasecmp)(pattern, name, len) == 0;
}

/* The first LEN characters of NAME are TOPIC, or an instance of it ("virtio-blk0"). */
static bool is_instance(const char *topic, const char *name, size_t len)
{
    while (len > 0 && isdigit((unsigned char)name[len - 1]) && len > strlen(topic))
        len--;
    return strlen(topic) == len && strncasecmp(topic, name, len) == 0;
}

/* Every virtio device has the registers of its transport as well. */
static bool is_topic(const char *topic, const char *name, size_t len)
{
    if (is_instance(topic, name, len))
        return true;
    return strcmp(topic, "virtio-mmio") == 0 && strncasecmp(name, "virtio-", 7) == 0;
}

/* NAME, "TOPIC NAME" or (tracefs) "kvm:NAME" is what E is about. EXACT: letter case counts. */
static bool matches(const struct explanation *e, const char *name, bool exact)
{
    if (is_name(e->name, name, exact))
        return true;
    if (strncmp(name, "kvm:", 4) == 0 && strcmp(e->topic, "kvm events") == 0)
        return is_name(e->name, name + 4, exact);
    for (const char *blank = strchr(name, ' '); blank; blank = strchr(blank + 1, ' '))
        if (is_topic(e->topic, name, (size_t)(blank - name)) && is_name(e->name, blank + 1, exact))
            return true;
    return false;
}

const struct explanation *explain_find(const char *name)
{
    /* "virtio-net0 status" is the device's, "virtio-net0 Status" the transport's. */
    for (int exact = 1; exact >= 0; exact--)
        for (const struct explanation *e = explanations; e->name; e++)
            if (matches(e, name, exact))
                return e;
    return NULL;
}

/* --- printing ----------------------------------------------------------------------------------- */

/* Prints TEXT from column *AT on, in lines of COLUMNS characters that INDENT blanks begin. */
static void print_words(const char *text, int indent, int *at)
{
    while (*text) {
        int len = (int)strcspn(text, " ");
        if (*at > indent && *at + 1 + len > COLUMNS) {
            printf("\n%*s", indent, "");
            *at = indent;
        } else if (*at > indent) {
            putchar(' ');
            ++*at;
        }
        printf("%.*s", len, text);
        *at += len;
        text += len + (text[len] == ' ');
    }
}

static void print_paragraph(const char *label, const char *text)
{
    int at = 9;

    if (!text)
        return;
    printf("  %-7s", label);
    print_words(text, 9, &at);
    putchar('\n');
}

static void print_one(const struct explanation *e)
{
    printf("%s (%s)\n", e->name, e->topic);
    print_paragraph("cause", e->cause);
    print_paragraph("effect", e->effect);
    print_paragraph("source", e->source);
}

static void print_list(void)
{
    const char *topic = "";
    int at = 0;

    printf("kvmlens explain NAME, where NAME is a topic (in front of a colon), one of the\n"
           "names behind it, or both: serial, THR, \"serial THR\".\n");
    for (const struct explanation *e = explanations; e->name; e++) {
        if (strcmp(e->topic, topic) != 0) {
            printf("%s%s:\n  ", *topic ? "\n\n" : "\n", e->topic);
            topic = e->topic;
            at = 2;
        }
        char name[64];
        snprintf(name, sizeof(name), "%s%s", e->name,
                 e[1].name && strcmp(e[1].topic, topic) == 0 ? "," : "");
        /* A name with blanks stays whole. */
        if (at > 2 && at + 1 + (int)strlen(name) > COLUMNS) {
            printf("\n  ");
            at = 2;
        }
        at += printf("%s%s", at > 2 ? " " : "", name);
    }
    putchar('\n');
}

static void print_cell(const char *text)
{
    printf(" ");
    for (; text && *text; text++) {
        if (*text == '|' || *text == '<' || *text == '*')
            putchar('\\');
        putchar(*text);
    }
    printf(" |");
}

/* For the documents: a table for each topic. */
static void print_markdown(void)
{
    const char *topic = "";

    for (const struct explanation *e = explanations; e->name; e++) {
        if (strcmp(e->topic, topic) != 0) {
            printf("%s### %s\n| name | what causes it | what comes of it |\n|---|---|---|\n",
                   *topic ? "\n" : "", e->topic);
            topic = e->topic;
        }
        printf("| `%s` |", e->name);
        print_cell(e->cause);
        print_cell(e->effect);
        putchar('\n');
    }
}

static enum status unknown(const char *name)
{
    struct suggestion near = {.word = name};
    const char *blank = strrchr(name, ' ');
    struct suggestion near_last = {.word = blank ? blank + 1 : name};

    for (const struct explanation *e = explanations; e->name; e++) {
        suggest_offer(&near, e->name);
        suggest_offer(&near, e->topic);
        suggest_offer(&near_last, e->name);
    }
    const char *best = near.best[0] ? near.best : near_last.best;
    if (best[0])
        log_say("nothing is known of %s; did you mean `kvmlens explain %s`?", QUOTE(name), best);
    else
        log_say("nothing is known of %s; `kvmlens explain` lists all names", QUOTE(name));
    return STATUS_USAGE;
}

static enum status explain(const char *name)
{
    unsigned found = 0;

    for (const struct explanation *e = explanations; e->name; e++) {
        if (!matches(e, name, false) && !is_instance(e->topic, name, strlen(name)))
            continue;
        if (found++)
            putchar('\n');
        print_one(e);
    }
    return found ? STATUS_POWEROFF : unknown(name);
}

enum status explain_run(const char *name)
{
    enum status status = STATUS_POWEROFF;

    if (!name || !*name)
        print_list();
    else if (strcmp(name, "markdown") == 0)
        print_markdown();
    else
        status = explain(name);
    return log_flush_stdout() ? status : STATUS_INTERNAL;
}
