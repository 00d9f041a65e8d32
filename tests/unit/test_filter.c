/*
 * test_filter.c: filter=EXPR: what passes, and what is no filter.
 */
#include "some_event.h"
#include "trace/filter.h"
#include "trace/item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* An exit of each sort. */
enum which { THR, LSR, STRING, NOTIFY, NOBODY, NOTE, KERNEL, ITEMS };

static struct trace_event event[ITEMS];
static struct trace_item item[ITEMS];

static int set_up(void **state)
{
    static const char *const symbol[ITEMS] = {
        [THR] = "put_char", [LSR] = "serial_poll", [NOTIFY] = "blk_read", [KERNEL] = "blk_write"};
    char remark[TRACE_REMARK_MAX];

    (void)state;
    for (unsigned i = 0; i < ITEMS; i++)
        event[i] = serial_write('a'); /* takes 8312 + 951 ns */
    event[LSR].write = false;
    event[LSR].addr = 0x3fd;
    event[LSR].reg = "LSR";
    event[LSR].vcpu = 1;
    event[STRING].count = 7;
    event[STRING].guest_ns = 20000;
    event[NOTIFY].kind = event[NOBODY].kind = VM_EXIT_MMIO;
    event[NOTIFY].addr = 0xfeb00050;
    event[NOTIFY].size = 4;
    event[NOTIFY].device = "virtio-blk0";
    event[NOTIFY].reg = "QueueNotify";
    event[NOBODY].addr = UINT64_MAX - 1;
    event[NOBODY].size = 8;
    event[NOBODY].device = event[NOBODY].reg = NULL;
    event[NOTE] =
        (struct trace_event){.kind = VM_EXIT_NOTE, .vcpu = TRACE_NO_VCPU, .device = "virtio-blk0"};
    event[KERNEL] = (struct trace_event){.kind = VM_EXIT_KERNEL, .raw_name = "kvm_exit"};
    for (unsigned i = 0; i < ITEMS; i++) {
        trace_item_make(&item[i], &event[i], NULL, remark);
        item[i].symbol = symbol[i];
    }
    return 0;
}

/* EXPECTED has a letter for each item: x passes. */
static void assert_passes(const char *expr, const char *expected)
{
    struct filter filter;
    struct error err;
    char found[ITEMS + 1] = "";

    if (filter_parse(&filter, expr, &err) < 0)
        fail_msg("%s: %s", expr, err.text);
    for (unsigned i = 0; i < ITEMS; i++)
        found[i] = filter_match(&filter, &item[i]) ? 'x' : '.';
    if (strcmp(found, expected) != 0)
        fail_msg("%s: expected %s, found %s", expr, expected, found);
}

static void what_passes(void **state)
{
    (void)state;
    /*                                        THR LSR STRING NOTIFY NOBODY NOTE KERNEL */
    assert_passes("cpu=0", "x.xxx.x");
    assert_passes("cpu=1", ".x.....");
    assert_passes("!cpu=1", "x.xxxxx");
    assert_passes("cpu=1-63", ".x.....");
    assert_passes("cpu=0|1", "xxxxx.x");
    assert_passes("exit=out", "x......");
    assert_passes("exit=out|in", "xx.....");
    assert_passes("exit=OUT", "x......");
    assert_passes("device=Serial+reg=thr", "x.x....");
    assert_passes("symbol=PUT_*", "x......");
    assert_passes("exit=out*", "x.x....");
    assert_passes("exit=mmio write", "...xx..");
    assert_passes("exit=note", ".....x.");
    assert_passes("exit=kvm_exit", "......x");
    assert_passes("exit=kvm_entry", ".......");
    assert_passes("device=serial", "xxx....");
    assert_passes("device=virtio-*", "...x.x.");
    assert_passes("device=nobody", "....x..");
    assert_passes("!device=serial", "...xxxx");
    assert_passes("reg=THR", "x.x....");
    assert_passes("reg=THR|QueueNotify", "x.xx...");
    assert_passes("!reg=THR", ".x.xxxx");
    assert_passes("port=0x3f8", "x.x....");
    assert_passes("port=0x3f9-0x3ff", ".x.....");
    assert_passes("port=1016-1023", "xxx....");
    assert_passes("gpa=0xfeb00000-0xfeb00fff", "...x...");
    assert_passes("gpa=0xfeb00053", "...x..."); /* its last byte */
    assert_passes("gpa=0xfeb00054", ".......");
    assert_passes("gpa=0xffffffffffffffff", "....x.."); /* the end of addresses */
    assert_passes("gpa=0", ".......");
    assert_passes("symbol=blk_*", "...x..x");
    assert_passes("!symbol=*", "..x.xx.");
    assert_passes("symbol=put_char|serial_*", "xx.....");
    assert_passes("cost>=9263ns", "xxxxx..");
    assert_passes("cost>=9264ns", "..x....");
    assert_passes("cost>=9.3us", "..x....");
    assert_passes("cost>=20.951us", "..x....");
    assert_passes("cost>=1s", ".......");
    assert_passes("!cost>=10us", "xx.xxxx");
    assert_passes("device=serial+!reg=THR", ".x.....");
    assert_passes("device=serial+cost>=10us", "..x....");
    assert_passes("cpu=0+cpu=1", ".......");

    struct filter all = {0};
    for (unsigned i = 0; i < ITEMS; i++)
        assert_true(filter_match(&all, &item[i]));
}

static void assert_refused(const char *expr, const char *text)
{
    struct filter filter;
    struct error err = {0};

    if (filter_parse(&filter, expr, &err) == 0)
        fail_msg("%s was taken", expr);
    assert_int_equal(err.status, STATUS_USAGE);
    if (!strstr(err.text, text))
        fail_msg("%s: expected \"%s\" in: %s", expr, text, err.text);
    assert_null(strchr(err.text, '\n'));
}

static void what_is_no_filter(void **state)
{
    (void)state;
    assert_refused("", "a term of the filter is missing");
    assert_refused("cpu=0+", "a term of the filter is missing");
    assert_refused("+cpu=0", "a term of the filter is missing");
    assert_refused("cpus=0", "there is no filter 'cpus'; did you mean cpu?");
    assert_refused("banana=0", "there is no filter 'banana'; there are cpu=N, exit=KIND");
    assert_refused("!", "there is no filter ''");
    assert_refused("cpu", "cpu needs a value: cpu=...");
    assert_refused("cpu>=1", "cpu needs a value: cpu=...");
    assert_refused("cpu|1", "cpu needs a value: cpu=...");
    assert_refused("cpu=", "cpu= needs a value");
    assert_refused("cpu=1|", "cpu= needs a value");
    assert_refused("device=", "device= needs a value");
    assert_refused("device=a||b", "device= needs a value");
    assert_refused("cpu=x", "cpu=x: a number or a range (0x3f8-0x3ff) is expected, not 'x'");
    assert_refused("cpu=-1", "a number or a range");
    assert_refused("cpu=0x", "a number or a range");
    assert_refused("cpu=1k", "a number or a range");
    assert_refused("cpu=1-", "a number or a range");
    assert_refused("cpu=1-2-3", "a number or a range");
    assert_refused("gpa=0x10000000000000000", "a number or a range");
    assert_refused("port=0x3ff-0x3f8", "the range ends before it begins");
    assert_refused("exit=uot", "there is no such exit; did you mean 'out'?");
    assert_refused("exit=banana", "there is no such exit; they are out, in");
    assert_refused("cost=10us", "cost>=10us");
    assert_refused("cost>10us", "cost>=10us");
    assert_refused("cost<=10us", "cost>=10us");
    assert_refused("cost>=", "a time is expected");
    assert_refused("cost>=10", "a time is expected");
    assert_refused("cost>=10 us", "a time is expected");
    assert_refused("cost>=-1us", "a time is expected");
    assert_refused("cost>=nan", "a time is expected");
    assert_refused("cost>=1e300s", "a time is expected");
    assert_refused("cost>=10usx", "a time is expected");
}

static void at_the_limits(void **state)
{
    char expr[FILTER_TEXT_MAX + 1];
    struct filter filter;
    struct error err;

    (void)state;
    memset(expr, 'a', sizeof(expr) - 1);
    expr[sizeof(expr) - 1] = '\0';
    memcpy(expr, "symbol=", 7);
    assert_refused(expr, "255 characters");
    expr[sizeof(expr) - 2] = '\0';
    assert_int_equal(filter_parse(&filter, expr, &err), 0);

    char *at = expr;
    for (unsigned i = 0; i < FILTER_TERMS_MAX + 1; i++)
        at += sprintf(at, "%scpu=%u", i ? "+" : "", i);
    assert_refused(expr, "16 terms");
    at = expr + sprintf(expr, "cpu=0");
    for (unsigned i = 1; i < FILTER_RANGES_MAX; i++)
        at += sprintf(at, "|%u", i);
    assert_int_equal(filter_parse(&filter, expr, &err), 0);
    strcpy(at, "|7");
    assert_refused(expr, "32 numbers");
    strcpy(at, "+cost>=1us");
    assert_refused(expr, "32 numbers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_passes),
        cmocka_unit_test(what_is_no_filter),
        cmocka_unit_test(at_the_limits),
    };
    return cmocka_run_group_tests_name("filter", tests, set_up, NULL);
}
