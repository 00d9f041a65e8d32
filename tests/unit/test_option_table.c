/*
 * test_option_table.c: what holds for every option of the table, for hostile arguments, and what
 * the help prints.
 */
#include "command_line.h"
#include "help_text.h"
#include "options_internal.h"
#include "suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define HUGE_SIZE 65536

/* An argument that each option takes. */
static const char *sample(const char *name)
{
    static const struct {
        const char *name, *argument;
    } rows[] = {
        {"kernel", "k"},
        {"initrd", "i"},
        {"append", "a"},
        {"bios", "b"},
        {"name", "n"},
        {"machine", "microvm"},
        {"cpu", "host"},
        {"smp", "2"},
        {"m", "64"},
        {"accel", "kvm"},
        {"serial", "null"},
        {"device", "isa-debug-exit"},
        {"drive", "file=f,id=d"},
        {"hda", "f"},
        {"hdb", "f"},
        {"trace", "exits"},
        {"display", "none"},
        {"vga", "none"},
        {"monitor", "none"},
        {"parallel", "none"},
        {"net", "none"},
        {"nic", "none"},
        {"global", "virtio-mmio.force-legacy=false"},
        {"chardev", "null,id=c"},
        {"netdev", "user,id=n"},
        {"object", "filter-dump,id=f,netdev=n,file=x -nic user,id=n"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].argument;
    fail_msg("the test knows no argument of -%s", name);
    return NULL;
}

static void assert_taken(const char *dashes, const char *name, const struct option_def *def)
{
    struct options options;
    struct error err;
    char line[128];
    bool boots = strcmp(def->name, "kernel") == 0 || strcmp(def->name, "bios") == 0;

    snprintf(line, sizeof(line), "%s%s%s%s%s", boots ? "" : "-kernel k ", dashes, name,
             def->argument ? " " : "", def->argument ? sample(def->name) : "");
    if (parse_line(line, &options, &err) < 0)
        fail_msg("%s: %s", line, err.text);
}

static void every_option_is_taken(void **state)
{
    (void)state;
    for (const struct option_def *def = option_table; def->name; def++) {
        assert_taken("-", def->name, def);
        assert_taken("--", def->name, def);
        if (def->alias)
            assert_taken("-", def->alias, def);
    }
}

static void every_option_is_explained(void **state)
{
    (void)state;
    for (const struct option_def *def = option_table; def->name; def++) {
        size_t len = strlen(def->help);

        assert_true(def->group < OPTION_GROUPS);
        if (len == 0 || def->help[len - 1] != '.' || strchr(def->help, '\n'))
            fail_msg("-%s: its help is no sentence on one line", def->name);
    }
}

/* An error is one printable line of bounded length. */
static void assert_sane(const struct error *err)
{
    assert_int_equal(err->status, STATUS_USAGE);
    assert_in_range(strnlen(err->text, sizeof(err->text)), 10, 480);
    for (const char *c = err->text; *c; c++)
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void huge_arguments(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "",
        "microvm,",
        "microvm,timeout=",
        "host,",
        "host,+",
        "kvm,",
        "isa-debug-exit,",
        "isa-debug-exit,iobase=",
        "exits,",
        "exits,file=",
        "file:",
        "mon:",
        "cpus=",
        "size=",
        "=",
        "guest=",
        "file=f,id=",
        "file=f,id=d,cache=",
    };
    static const char fillers[] = "x0,=\xff";
    static char argument[HUGE_SIZE + 64];

    for (const struct option_def *def = option_table; def->name; def++)
        for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++)
            for (const char *f = fillers; *f; f++) {
                char option[32];
                char *argv[] = {(char *)(uintptr_t) "kvmlens", option, argument, NULL};
                struct options options;
                struct error err;

                snprintf(option, sizeof(option), "-%s", def->name);
                strcpy(argument, starts[s]);
                memset(argument + strlen(starts[s]), *f, HUGE_SIZE);
                argument[strlen(starts[s]) + HUGE_SIZE] = '\0';
                if (options_parse(&options, 3, argv, &err) < 0)
                    assert_sane(&err);
                else
                    /* No guest is named, so only one of these can be content. */
                    assert_true(options.kernel || options.bios || options.dumpdtb ||
                                options.mode != MODE_RUN);
            }
}

static void huge_option(void **state)
{
    (void)state;
    static char option[HUGE_SIZE + 1];

    for (const char *f = "-=x\x1b\xff "; *f; f++) {
        char *argv[] = {(char *)(uintptr_t) "kvmlens", option, NULL};
        struct options options;
        struct error err;

        memset(option, *f, HUGE_SIZE);
        assert_int_equal(options_parse(&options, 2, argv, &err), -1);
        assert_sane(&err);
    }
}

static void the_command_line_fits_its_page(void **state)
{
    (void)state;
    static char append[HUGE_SIZE];
    char *argv[] = {(char *)(uintptr_t) "kvmlens",
                    (char *)(uintptr_t) "-kernel",
                    (char *)(uintptr_t) "k",
                    (char *)(uintptr_t) "-append",
                    append,
                    NULL};
    struct options options;
    struct error err;

    memset(append, 'a', 4095);
    assert_int_equal(options_parse(&options, 5, argv, &err), 0);
    append[4095] = 'a';
    assert_int_equal(options_parse(&options, 5, argv, &err), -1);
    assert_non_null(strstr(err.text, "4096"));
    assert_non_null(strstr(err.text, "4095"));
}

static void assert_narrow(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");

        if (len > 80 || (len > 0 && text[len - 1] == ' '))
            fail_msg("too wide, or ends in a space: \"%.*s\"", (int)len, text);
        assert_int_equal(text[len], '\n');
        text += len + 1;
    }
}

static void help_lists_every_option(void **state)
{
    (void)state;
    const char *text = help_of("help");
    char wanted[256];

    assert_narrow(text);
    for (const struct option_def *def = option_table; def->name; def++) {
        snprintf(wanted, sizeof(wanted), "\n  -%s%s%s%s%s\n      ", def->name,
                 def->alias ? ", -" : "", def->alias ? def->alias : "", def->argument ? " " : "",
                 def->argument ? def->argument : "");
        if (!strstr(text, wanted))
            fail_msg("no -%s in the help", def->name);
    }
}

static void markdown_lists_every_option(void **state)
{
    (void)state;
    const char *text = help_of("markdown");
    unsigned rows = 0, options = 0;
    char wanted[64];

    for (const struct option_def *def = option_table; def->name; def++, options++) {
        snprintf(wanted, sizeof(wanted), "| `-%s%c", def->name, def->argument ? ' ' : '`');
        if (!strstr(text, wanted))
            fail_msg("no -%s in the table", def->name);
    }
    while (*text) {
        unsigned cells = 0;

        for (char before = '\n'; *text != '\n'; before = *text++)
            cells += *text == '|' && before != '\\';
        assert_int_equal(cells, 3); /* two columns */
        rows++;
        text++;
    }
    assert_int_equal(rows, 2 + OPTION_GROUPS + options);
}

/* TEXT has "MACRO NAME" as whole words. */
static bool manual_has(const char *text, const char *macro, const char *name)
{
    char wanted[64];
    int len = snprintf(wanted, sizeof(wanted), "%s %s", macro, name);

    for (const char *at = text; (at = strstr(at, wanted)); at++)
        if (strchr(" \n", at[len]))
            return true;
    return false;
}

static void the_manual_has_every_option(void **state)
{
    (void)state;
    static char text[HUGE_SIZE];
    FILE *file = fopen("docs/kvmlens.1", "r");

    if (!file)
        skip(); /* not run from the root of the source tree */
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (const struct option_def *def = option_table; def->name; def++) {
        if (!manual_has(text, ".It Fl", def->name))
            fail_msg("-%s is not in the manual", def->name);
        if (def->alias && !manual_has(text, ",", def->alias))
            fail_msg("-%s is not in the manual", def->alias);
    }
    for (const struct property *p = machine_properties; p->name; p++)
        if (p->set && p->help && !manual_has(text, ".It Cm", p->name))
            fail_msg("-machine's %s is not in the manual", p->name);
}

static void topics(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"machine", "microvm"},      {"microvm", "timeout=SECONDS"}, {"accel", "kvm"},
        {"cpu", " tsc-deadline "},   {"device", "isa-debug-exit"},   {"isa-debug-exit", "iobase="},
        {"trace", "-trace summary"}, {"version", "kvmlens "},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = help_of(rows[i][0]);

        assert_narrow(text);
        if (!strstr(text, rows[i][1]))
            fail_msg("help of %s: no \"%s\"", rows[i][0], rows[i][1]);
    }
}

static void help_to_a_full_disk(void **state)
{
    (void)state;
    int saved = dup(STDOUT_FILENO);

    fflush(stdout);
    assert_non_null(freopen("/dev/full", "w", stdout));

    enum status status = options_help("help");

    clearerr(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(status, STATUS_INTERNAL);
}

static void suggestions(void **state)
{
    (void)state;
    static const struct {
        const char *word, *name;
        bool near;
    } rows[] = {
        {"kernel", "kernel", true}, {"kernal", "kernel", true}, {"krenel", "kernel", true},
        {"KERNEL", "kernel", true}, {"kernl", "kernel", true},  {"kkernel", "kernel", true},
        {"krenl", "kernel", true},  {"krn", "kernel", false},   {"colonel", "kernel", false},
        {"m", "M", true},           {"m", "s", false},          {"", "m", false},
        {"smp", "snp", true},       {"sp", "smp", true},        {"ab", "ba", false},
        {"abc", "acb", true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct suggestion s = {.word = rows[i].word};

        suggest_offer(&s, rows[i].name);
        if ((s.best[0] != '\0') != rows[i].near)
            fail_msg("\"%s\" and \"%s\"", rows[i].word, rows[i].name);
    }

    struct suggestion s = {.word = "monitr"};

    suggest_offer(&s, "mono-tor");
    suggest_offer(&s, "monitor");
    suggest_offer(&s, "monitar");
    assert_string_equal(s.best, "monitor"); /* the nearest, and of equals the first */
}

static void quotations(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "''"},
        {"plain", "'plain'"},
        {"a\nb\x1b[31m", "'a\\x0ab\\x1b[31m'"},
        {"\x7f", "'\\x7f'"},
        {"j\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x98\x80",
         "'j\xc3\xbcrgen \xe2\x82\xac \xf0\x9f\x98\x80'"},
        {"\xff", "'\\xff'"},
        {"\xc3", "'\\xc3'"},                            /* cut short */
        {"\xc3(", "'\\xc3('"},                          /* no continuation */
        {"\xc0\x80", "'\\xc0\\x80'"},                   /* overlong */
        {"\xe0\x80\x80", "'\\xe0\\x80\\x80'"},          /* overlong */
        {"\xed\xa0\x80", "'\\xed\\xa0\\x80'"},          /* surrogate */
        {"\xc2\x9b", "'\\xc2\\x9b'"},                   /* a C1 control character */
        {"\xf4\x90\x80\x80", "'\\xf4\\x90\\x80\\x80'"}, /* beyond Unicode */
        {"\xd8\x9b\xd8\x9d", "'\xd8\x9b\xd8\x9d'"},     /* around U+061C */
        {"\xe2\x80\x8a\xe2\x80\x90", "'\xe2\x80\x8a\xe2\x80\x90'"},
        {"\xf3\xa1\x80\x80", "'\xf3\xa1\x80\x80'"},
        /* Invisible, or reordering. */
        {"\xd8\x9c", "'\\xd8\\x9c'"},
        {"\xe2\x80\x8b", "'\\xe2\\x80\\x8b'"},
        {"\xe2\x80\x8f", "'\\xe2\\x80\\x8f'"},
        {"\xe2\x80\xa8", "'\\xe2\\x80\\xa8'"},
        {"\xe2\x80\xae", "'\\xe2\\x80\\xae'"},
        {"\xe2\x81\xa0", "'\\xe2\\x81\\xa0'"},
        {"\xe2\x81\xa9", "'\\xe2\\x81\\xa9'"},
        {"\xef\xbb\xbf", "'\\xef\\xbb\\xbf'"},
        {"\xef\xbf\xb9", "'\\xef\\xbf\\xb9'"},
        {"\xf3\xa0\x80\x81", "'\\xf3\\xa0\\x80\\x81'"},
        {"\xf3\xa0\xbf\xbf", "'\\xf3\\xa0\\xbf\\xbf'"},
    };
    char longest[200];
    struct quoted q;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(QUOTE(rows[i][0]), rows[i][1]);

    /* At the limit, a character is shown whole or not at all. */
    for (size_t len = 50; len < sizeof(longest); len++) {
        memset(longest, 'x', len);
        longest[len - 1] = '\xff';
        longest[len] = '\0';
        quote(&q, longest);

        size_t size = strlen(q.text);

        assert_in_range(size, 1, sizeof(q.text) - 1);
        assert_int_equal(q.text[size - 1], '\'');
        assert_true(strcmp(q.text + size - 5, "\\xff'") == 0 ||
                    strcmp(q.text + size - 5, "x...'") == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_taken),
        cmocka_unit_test(every_option_is_explained),
        cmocka_unit_test(huge_arguments),
        cmocka_unit_test(huge_option),
        cmocka_unit_test(the_command_line_fits_its_page),
        cmocka_unit_test(help_lists_every_option),
        cmocka_unit_test(markdown_lists_every_option),
        cmocka_unit_test(the_manual_has_every_option),
        cmocka_unit_test(topics),
        cmocka_unit_test(help_to_a_full_disk),
        cmocka_unit_test(suggestions),
        cmocka_unit_test(quotations),
    };

    return cmocka_run_group_tests_name("option_table", tests, NULL, NULL);
}
