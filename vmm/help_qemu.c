/*
 * help_qemu.c: the options of kvmlens beside QEMU's: `kvmlens -h options` for programs, `kvmlens -h
 * qemu` for docs/qemu.md. Both are made from the tables that the parser uses.
 */
#include "options_internal.h"

#include "options_qemu.h"

#include <stdio.h>
#include <string.h>

/* In the order of enum qemu_relation. */
static const struct {
    const char *word, *text;
} relations[QEMU_RELATIONS] = {
    {"same", "the same"},     {"limits", "with limits"}, {"ignored", "taken, ignored"},
    {"own", "kvmlens's own"}, {"absent", "not here"},
};

/* The options that the commands of LPIC-3 305's topic 351.3 (QEMU) are taught with. */
static const char exam[] =
    "name enable-kvm m smp cpu hda hdb cdrom boot kernel initrd append drive "
    "device netdev nic monitor serial vnc display k vga chardev";

static bool is_of_exam(const char *name)
{
    const char *names = exam;
    struct qemu_option option;

    while (qemu_next_option(&names, &option))
        if (strcmp(option.name, name) == 0)
            return true;
    return false;
}

/* A line or row: an option of kvmlens's (DEF), or one of QEMU's alone. */
struct row {
    const char *name, *alias, *argument, *before, *note, *after;
    enum qemu_relation relation;
};

static struct row own_row(const struct option_def *def)
{
    return (struct row){
        .name = def->name,
        .alias = def->alias,
        .argument = def->argument,
        .before = def->parse == option_none ? "Only none is taken. " : "",
        .note = option_note(def),
        .after = "",
        .relation = def->relation,
    };
}

static struct row absent_row(const struct qemu_option *option, const char *why)
{
    return (struct row){
        .name = option->name,
        .argument = option->argument ? "..." : NULL,
        .before = "",
        .note = why,
        .after = option->version == QEMU_EARLIER ? " (before QEMU 7.2)"
                 : option->version == QEMU_LATER ? " (after QEMU 7.2)"
                                                 : "",
        .relation = QEMU_ABSENT,
    };
}

/* --- kvmlens -h options ------------------------------------------------------------------------- */

static void print_line(const struct row *row)
{
    printf("%s\t%s\t%s\t%s\t%s%s%s\n", row->name, row->alias ? row->alias : "",
           row->argument ? "arg" : "flag", relations[row->relation].word, row->before, row->note,
           row->after);
}

void help_option_list(void)
{
    for (const struct option_def *def = option_table; def->name; def++) {
        struct row row = own_row(def);

        print_line(&row);
    }
    for (const struct qemu_absent *absent = qemu_absent_options; absent->why; absent++) {
        const char *names = absent->names;
        struct qemu_option option;

        while (qemu_next_option(&names, &option)) {
            struct row row = absent_row(&option, absent->why);

            print_line(&row);
        }
    }
}

/* --- kvmlens -h qemu ---------------------------------------------------------------------------- */

static void print_row(const struct row *row)
{
    printf("| `-%s%s", row->name, row->argument ? " " : "");
    help_escaped(row->argument ? row->argument : "");
    printf("`%s%s%s | %s | ", row->alias ? ", `-" : "", row->alias ? row->alias : "",
           row->alias ? "`" : "", relations[row->relation].text);
    help_escaped(row->before);
    help_escaped(row->note);
    printf("%s |\n", row->after);
}

static void print_head(const char *title)
{
    printf("### %s\n\n| option | here | what differs, or why |\n|---|---|---|\n", title);
}

/* The option NAME, of kvmlens or QEMU; nothing if it is neither's. */
static void print_named(const char *name)
{
    struct qemu_option option;
    const char *why = qemu_option_why(name, &option);

    if (why) {
        struct row row = absent_row(&option, why);

        print_row(&row);
    }
    for (const struct option_def *def = option_table; def->name; def++)
        if (strcmp(def->name, name) == 0) {
            struct row row = own_row(def);

            print_row(&row);
        }
}

static void print_exam(void)
{
    const char *names = exam;
    struct qemu_option option;

    print_head("The options of LPIC-3 305, topic 351.3");
    while (qemu_next_option(&names, &option))
        print_named(option.name);
}

static void print_others(void)
{
    printf("\n");
    print_head("kvmlens's other options");
    for (const struct option_def *def = option_table; def->name; def++)
        if (!is_of_exam(def->name)) {
            struct row row = own_row(def);

            print_row(&row);
        }
}

/* Options that are not here for one reason share a row. */
static void print_absent(void)
{
    printf("\n### QEMU's other options, which kvmlens has not\n\n| options | why |\n|---|---|\n");
    for (const struct qemu_absent *absent = qemu_absent_options; absent->why; absent++) {
        const char *names = absent->names;
        struct qemu_option option;
        bool any = false;

        while (qemu_next_option(&names, &option)) {
            if (is_of_exam(option.name))
                continue;
            printf("%s`-%s%s`%s", any ? ", " : "| ", option.name, option.argument ? " ..." : "",
                   absent_row(&option, absent->why).after);
            any = true;
        }
        if (!any)
            continue;
        printf(" | ");
        help_escaped(absent->why);
        printf(" |\n");
    }
}

void help_qemu(void)
{
    print_exam();
    print_others();
    print_absent();
}
