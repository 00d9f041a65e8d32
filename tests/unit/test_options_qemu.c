/*
 * test_options_qemu.c: kvmlens's options beside QEMU's: the tables, `kvmlens -h options` and
 * `kvmlens -h qemu`. (That they say the truth about QEMU is for the end-to-end tests.)
 */
#include "command_line.h"
#include "help_text.h"
#include "options_internal.h"
#include "options_qemu.h"

/* An option is kvmlens's or on the list of what kvmlens lacks, never both. */
static void no_option_is_denied(void **state)
{
    (void)state;
    for (const struct option_def *def = option_table; def->name; def++)
        if (qemu_option_why(def->name, NULL) || (def->alias && qemu_option_why(def->alias, NULL)))
            fail_msg("-%s is listed as QEMU's alone", def->name);
}

static void assert_sentences(const char *name, const char *text)
{
    size_t len = text ? strlen(text) : 0;

    if (len < 4 || text[len - 1] != '.' || text[0] == ' ' || strpbrk(text, "\n\t"))
        fail_msg("-%s: its note is no sentence on one line", name);
}

static void every_relation_has_its_note(void **state)
{
    (void)state;
    for (const struct option_def *def = option_table; def->name; def++) {
        assert_in_range(def->relation, QEMU_SAME, QEMU_OWN);
        assert_sentences(def->name, option_note(def));
        if ((def->relation == QEMU_LIMITS || def->relation == QEMU_OWN) && !def->note)
            fail_msg("-%s: how does it differ from QEMU's?", def->name);
        if ((def->group == GROUP_IGNORED) != (def->relation == QEMU_IGNORED))
            fail_msg("-%s: is it ignored or not?", def->name);
    }
    for (const struct qemu_absent *absent = qemu_absent_options; absent->why; absent++)
        assert_sentences(absent->names, absent->why);
}

static void a_name_says_what_it_is(void **state)
{
    (void)state;
    const char *names = "plain with= +new -old +newer= a-name-that-is-too-long-for-it=";
    static const struct qemu_option wanted[] = {
        {"plain", false, QEMU_7_2},  {"with", true, QEMU_7_2},
        {"new", false, QEMU_LATER},  {"old", false, QEMU_EARLIER},
        {"newer", true, QEMU_LATER}, {"a-name-that-is-too-long", true, QEMU_7_2},
    };
    struct qemu_option option;

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_true(qemu_next_option(&names, &option));
        assert_string_equal(option.name, wanted[i].name);
        assert_int_equal(option.argument, wanted[i].argument);
        assert_int_equal(option.version, wanted[i].version);
    }
    assert_false(qemu_next_option(&names, &option));
    assert_null(qemu_option_why("nonsense", NULL));
    assert_null(qemu_option_why("", NULL));
    assert_non_null(qemu_option_why("vnc", &option));
    assert_string_equal(option.name, "vnc");
    assert_true(option.argument);
}

/* Every name of the list is short enough to be kept whole, and there once. */
static void no_name_is_cut_or_there_twice(void **state)
{
    (void)state;
    for (const struct qemu_absent *absent = qemu_absent_options; absent->why; absent++) {
        const char *names = absent->names;
        struct qemu_option option, found;

        assert_true(*names);
        while (qemu_next_option(&names, &option)) {
            assert_in_range(strlen(option.name), 1, sizeof(option.name) - 2);
            assert_ptr_equal(qemu_option_why(option.name, &found), absent->why);
            assert_memory_equal(&found.argument, &option.argument, sizeof(found.argument));
        }
    }
}

/* The reason is in the refusal. */
static void a_refusal_says_why(void **state)
{
    (void)state;
    for (const struct qemu_absent *absent = qemu_absent_options; absent->why; absent++) {
        const char *names = absent->names;
        struct qemu_option option;

        while (qemu_next_option(&names, &option)) {
            struct options options;
            struct error err;
            char line[64];

            snprintf(line, sizeof(line), "-%s x", option.name);
            assert_int_equal(parse_line(line, &options, &err), -1);
            assert_int_equal(err.status, STATUS_USAGE);
            if (!strstr(err.text, "QEMU has this option, kvmlens has not") ||
                !strstr(err.text, absent->why))
                fail_msg("%s: %s", line, err.text);
        }
    }
}

/* Cuts a line into FIELDS at its tabs; how many there are. */
static unsigned cut_line(char *line, char *fields[8])
{
    unsigned count = 0;

    for (char *at = line; at && count < 8; count++) {
        char *tab = strchr(at, '\t');

        fields[count] = at;
        if (tab)
            *tab++ = '\0';
        at = tab;
    }
    return count;
}

static void assert_line_of(const struct option_def *def, char *fields[8])
{
    static const char *const words[] = {"same", "limits", "ignored", "own"};

    assert_string_equal(fields[0], def->name);
    assert_string_equal(fields[1], def->alias ? def->alias : "");
    assert_string_equal(fields[2], def->argument ? "arg" : "flag");
    assert_string_equal(fields[3], words[def->relation]);
    assert_non_null(strstr(fields[4], option_note(def)));
}

static void the_list_has_a_line_for_each(void **state)
{
    (void)state;
    static char text[HELP_SIZE];
    const struct option_def *def = option_table;
    unsigned absents = 0, names_count = 0;

    strcpy(text, help_of("options"));
    for (char *line = text, *end; *line; line = end + 1) {
        char *fields[8];

        end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        assert_int_equal(cut_line(line, fields), 5);
        if (def->name) {
            assert_line_of(def++, fields);
            continue;
        }

        struct qemu_option option;
        const char *why = qemu_option_why(fields[0], &option);

        assert_non_null(why);
        assert_string_equal(fields[1], "");
        assert_string_equal(fields[2], option.argument ? "arg" : "flag");
        assert_string_equal(fields[3], "absent");
        assert_ptr_equal(strstr(fields[4], why), fields[4]);
        absents++;
    }
    assert_null(def->name);
    for (const struct qemu_absent *absent = qemu_absent_options; absent->why; absent++) {
        const char *names = absent->names;
        struct qemu_option option;

        while (qemu_next_option(&names, &option))
            names_count++;
    }
    assert_int_equal(absents, names_count);
}

/* How many cells NEEDLE begins in TEXT's rows: `-name` or `-name ARGUMENT`. */
static unsigned times_listed(const char *text, const char *name)
{
    char wanted[64];
    int len = snprintf(wanted, sizeof(wanted), "`-%s", name);
    unsigned times = 0;

    for (const char *at = text; (at = strstr(at, wanted)); at += len)
        times += at[len] == '`' || at[len] == ' ';
    return times;
}

static void the_exam_s_options_come_first(void **state)
{
    (void)state;
    static const char *const exam[] = {
        "name",    "enable-kvm", "m",      "smp",     "cpu",   "hda",    "hdb",     "cdrom",
        "boot",    "kernel",     "initrd", "append",  "drive", "device", "netdev",  "nic",
        "monitor", "serial",     "vnc",    "display", "k",     "vga",    "chardev",
    };
    static char text[HELP_SIZE];

    strcpy(text, help_of("qemu"));

    char *rest = strstr(text, "\n\n### kvmlens's other options");

    assert_non_null(rest);
    for (size_t i = 0; i < sizeof(exam) / sizeof(exam[0]); i++) {
        if (times_listed(rest, exam[i]))
            fail_msg("-%s is not in the first table, or in another too", exam[i]);
    }
    *rest = '\0';
    for (size_t i = 0; i < sizeof(exam) / sizeof(exam[0]); i++)
        if (times_listed(text, exam[i]) != 1)
            fail_msg("-%s is in the first table %u times", exam[i], times_listed(text, exam[i]));
}

static void the_page_has_each_option_once(void **state)
{
    (void)state;
    static char text[HELP_SIZE];
    char *line = text;

    strcpy(text, help_of("qemu"));
    for (const struct option_def *def = option_table; def->name; def++)
        if (times_listed(text, def->name) != 1)
            fail_msg("-%s is there %u times", def->name, times_listed(text, def->name));
    for (const struct qemu_absent *absent = qemu_absent_options; absent->why; absent++) {
        const char *names = absent->names;
        struct qemu_option option;

        while (qemu_next_option(&names, &option))
            if (times_listed(text, option.name) != 1)
                fail_msg("-%s is there %u times", option.name, times_listed(text, option.name));
    }
    /* Every row has as many cells as its table's head. */
    for (unsigned wanted = 0; *line; line += strcspn(line, "\n") + 1) {
        size_t len = strcspn(line, "\n");
        unsigned cells = 0;

        if (len == 0 || *line == '#') {
            wanted = 0;
            continue;
        }
        for (size_t i = 0; i < len; i++)
            cells += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
        if (wanted == 0)
            wanted = cells;
        assert_in_range(cells, 3, 4);
        assert_int_equal(cells, wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_option_is_denied),
        cmocka_unit_test(every_relation_has_its_note),
        cmocka_unit_test(a_name_says_what_it_is),
        cmocka_unit_test(no_name_is_cut_or_there_twice),
        cmocka_unit_test(a_refusal_says_why),
        cmocka_unit_test(the_list_has_a_line_for_each),
        cmocka_unit_test(the_exam_s_options_come_first),
        cmocka_unit_test(the_page_has_each_option_once),
    };

    return cmocka_run_group_tests_name("options_qemu", tests, NULL, NULL);
}
