/*
 * test_options_trace.c: -trace: what is set, and what each mistake is told.
 */
#include "command_line.h"
#include "options_internal.h"

static void what_and_where(void **state)
{
    (void)state;
    struct options o = parsed("-bios r -trace exits,file=a,,b -trace summary -trace enable=exits");

    assert_int_equal(o.trace_count, 3);
    assert_int_equal(o.trace[0].kind, TRACE_EXITS);
    assert_string_equal(o.trace[0].file, "a,b");
    assert_int_equal(o.trace[1].kind, TRACE_SUMMARY);
    assert_null(o.trace[1].file);
    assert_int_equal(o.trace[2].kind, TRACE_EXITS);
    assert_int_equal(
        parsed("-bios r -trace exits -trace exits -trace exits -trace exits").trace_count, 4);
    assert_refused("-trace exits -trace exits -trace exits -trace exits -trace exits", "4");
    assert_refused("-trace exit", "'exit'|did you mean exits");
    assert_refused("-trace sumary", "summary");
    assert_refused("-trace kvm_*", "'kvm_*'|QEMU's");
    assert_refused("-trace file=x", "exits, summary");
    assert_refused("-trace exits -trace file=x", "exits, summary");
    assert_refused("-trace exits,file=", "empty");
    assert_refused("-trace exits,events=x", "QEMU has");
}

static void format(void **state)
{
    (void)state;
    struct options o = parsed("-bios r -trace exits,format=text");

    assert_int_equal(o.trace[0].format, TRACE_TEXT);
    assert_refused("-trace exits,format=", "there is no format ''");
    assert_refused("-trace exits,format=txt", "'txt'|did you mean text");
    assert_refused("-trace exits,format=yaml", "'yaml'|-h trace");
}

static void filters(void **state)
{
    (void)state;
    struct options o = parsed(
        "-bios r -trace exits,filter=device=serial+!reg=THR -trace summary,filter=cost>=10us");

    assert_int_equal(o.trace[0].filter.terms, 2);
    assert_int_equal(o.trace[1].filter.terms, 1);
    assert_int_equal(parsed("-bios r -trace exits").trace[0].filter.terms, 0);
    assert_refused("-trace exits,filter=", "filter: a term of the filter is missing");
    assert_refused("-trace exits,filter", "filter=EXPR");
    assert_refused("-trace exits,filter=devise=serial", "filter: |'devise'|did you mean device");
    assert_refused("-trace exits,filter=cpu=0 -trace summary,filter=cpu=x", "cpu=x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_and_where),
        cmocka_unit_test(format),
        cmocka_unit_test(filters),
    };
    return cmocka_run_group_tests_name("options_trace", tests, NULL, NULL);
}
