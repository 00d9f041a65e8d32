/*
 * test_devices.c: the devices with one idea each (vmm/dev/simple.h): i8042, isa-debug-exit, the
 * ACPI power registers, the POST port.
 */
#include "bus.h"
#include "dev/simple.h"

#include <debug_exit.h>
#include <ports.h>
#include <post_codes.h>
#include <power.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct board {
    struct bus io, mmio;
    struct i8042 i8042;
    struct debug_exit debug_exit;
    struct power power;
    struct post post;
    unsigned resets, poweroffs, exits;
    uint32_t exit_value;
    const char *remark; /* the last one of the POST port */
};

static void on_reset(void *opaque)
{
    ((struct board *)opaque)->resets++;
}

static void on_poweroff(void *opaque)
{
    ((struct board *)opaque)->poweroffs++;
}

static void on_debug_exit(void *opaque, uint32_t value)
{
    struct board *b = opaque;
    b->exits++;
    b->exit_value = value;
}

static void on_remark(void *opaque, const char *device, const char *text, uint64_t a, uint64_t b,
                      uint64_t c)
{
    (void)a, (void)b, (void)c;
    assert_ptr_equal(device, post_ops.name); /* vm_remark() compares pointers */
    ((struct board *)opaque)->remark = text;
}

static int set_up(void **state)
{
    struct board *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    const struct machine_requests requests = {
        .reset = on_reset, .poweroff = on_poweroff, .debug_exit = on_debug_exit, .opaque = b};
    i8042_init(&b->i8042, requests);
    debug_exit_init(&b->debug_exit, requests);
    power_init(&b->power, requests);
    post_init(&b->post, (struct device_remark){on_remark, b});
    assert_int_equal(bus_attach(&b->io, PORT_I8042, PORT_I8042_COUNT, &i8042_ops, &b->i8042), 0);
    assert_int_equal(bus_attach(&b->io, PORT_DEBUG_EXIT, 4, &debug_exit_ops, &b->debug_exit), 0);
    assert_int_equal(bus_attach(&b->io, PORT_POST, 1, &post_ops, &b->post), 0);
    assert_int_equal(bus_attach(&b->mmio, 0, 3, &power_ops, &b->power), 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static uint8_t in(struct board *b, uint64_t port)
{
    return (uint8_t)bus_read(&b->io, port, 1);
}

static void out(struct board *b, uint64_t port, uint8_t value)
{
    bus_write(&b->io, port, 1, value);
}

/* What a guest's driver does: send a command, wait for the answer, take it. */
static uint8_t ask(struct board *b, uint8_t command)
{
    assert_int_equal(in(b, 0x64) & 0x02, 0); /* never busy */
    out(b, 0x64, command);
    assert_int_equal(in(b, 0x64) & 0x41, 0x01);
    uint8_t answer = in(b, 0x60);
    assert_int_equal(in(b, 0x64) & 0x01, 0);
    return answer;
}

static void i8042_is_idle(void **state)
{
    struct board *b = *state;
    assert_int_equal(in(b, 0x64), 0x14); /* no output, not busy, tested, unlocked */
    assert_int_equal(in(b, 0x60), 0);
    assert_int_equal(in(b, 0x62), 0xff);
    assert_int_equal(in(b, 0x63), 0xff);
    out(b, 0x62, 0xfe);
    assert_int_equal(b->resets, 0);
}

static void i8042_answers(void **state)
{
    struct board *b = *state;
    assert_int_equal(ask(b, 0xaa), 0x55);
    assert_int_equal(ask(b, 0xab), 0x00);
    assert_int_equal(ask(b, 0xa9), 0x01);
    assert_int_equal(ask(b, 0xc0), 0x80);
    assert_int_equal(ask(b, 0xd0), 0x03);
    assert_int_equal(ask(b, 0xd0), 0x03);
    assert_int_equal(ask(b, 0x20), 0x04);
}

/* Commands and data bytes that have no answer leave none behind. */
static void i8042_does_not_answer(void **state)
{
    static const uint8_t silent[] = {0xad, 0xae, 0xdd, 0xdf, 0xa7, 0xa8, 0xff, 0xfe, 0x00};
    struct board *b = *state;
    for (unsigned i = 0; i < sizeof(silent); i++) {
        out(b, 0x64, silent[i]);
        assert_int_equal(in(b, 0x64), 0x14);
    }
    out(b, 0x64, 0x60);
    out(b, 0x60, 0x04);
    assert_int_equal(in(b, 0x64), 0x14);
    out(b, 0x64, 0xd1);
    out(b, 0x60, 0x03);
    assert_int_equal(in(b, 0x64), 0x14);
    assert_int_equal(b->resets, 1);
}

static void i8042_command_byte(void **state)
{
    struct board *b = *state;
    out(b, 0x64, 0x60);
    out(b, 0x60, 0x61);
    assert_int_equal(ask(b, 0x20), 0x61);
    assert_int_equal(in(b, 0x64) & 0x04, 0); /* the system flag is a bit of it */
    ask(b, 0xaa);
    assert_int_equal(in(b, 0x64) & 0x04, 0x04);
    out(b, 0x64, 0xad);
    assert_int_equal(ask(b, 0x20), 0x75);
    out(b, 0x64, 0xae);
    assert_int_equal(ask(b, 0x20), 0x65);
}

static void i8042_output_port(void **state)
{
    struct board *b = *state;
    out(b, 0x64, 0xdd);
    assert_int_equal(ask(b, 0xd0), 0x01);
    out(b, 0x64, 0xdf);
    assert_int_equal(ask(b, 0xd0), 0x03);
    out(b, 0x64, 0xd1);
    out(b, 0x60, 0xc1); /* A20 off, reset high */
    assert_int_equal(ask(b, 0xd0), 0xc1);
    assert_int_equal(b->resets, 0);
    out(b, 0x64, 0xd1);
    out(b, 0x60, 0xfe);
    assert_int_equal(b->resets, 1);
    out(b, 0x60, 0xfe); /* a byte for the keyboard: the command has been used up */
    assert_int_equal(b->resets, 1);
}

static void i8042_command_replaces_a_waiting_one(void **state)
{
    struct board *b = *state;
    out(b, 0x64, 0xd1);
    out(b, 0x64, 0x60);
    out(b, 0x60, 0x40);
    assert_int_equal(b->resets, 0);
    assert_int_equal(ask(b, 0x20), 0x40);
    out(b, 0x64, 0xd1);
    out(b, 0x64, 0xae);
    out(b, 0x60, 0xfe); /* goes to the keyboard */
    assert_int_equal(b->resets, 0);
}

/* 0xf0 up pulse the lines whose bits are 0; bit 0 is the reset line. */
static void i8042_pulses(void **state)
{
    struct board *b = *state;
    unsigned expected = 0;
    for (unsigned command = 0; command < 256; command++) {
        out(b, 0x64, (uint8_t)command);
        in(b, 0x60);
        expected += command >= 0xf0 && command % 2 == 0;
        assert_int_equal(b->resets, expected);
    }
    assert_int_equal(expected, 8);
}

static void i8042_echoes_what_it_is_given(void **state)
{
    struct board *b = *state;
    for (uint8_t command = 0xd2; command <= 0xd3; command++) {
        out(b, 0x64, command);
        assert_int_equal(in(b, 0x64) & 1, 0);
        out(b, 0x60, 0x5a);
        assert_int_equal(in(b, 0x64), 0x15); /* full; not from the mouse (bit 5) */
        assert_int_equal(in(b, 0x60), 0x5a);
    }
}

/* Nothing is plugged in: the controller says so at once, instead of never. */
static void i8042_has_no_keyboard(void **state)
{
    struct board *b = *state;
    for (unsigned mouse = 0; mouse < 2; mouse++) {
        if (mouse) {
            out(b, 0x64, 0xd4);
        }
        out(b, 0x60, 0xff); /* reset, says the driver */
        assert_int_equal(in(b, 0x64), 0x55);
        assert_int_equal(in(b, 0x60), 0xfe);
        assert_int_equal(in(b, 0x64), 0x14);
    }
}

static void i8042_reset(void **state)
{
    struct board *b = *state;
    out(b, 0x64, 0x60);
    out(b, 0x60, 0xff);
    out(b, 0x60, 0xff);
    out(b, 0x64, 0xdd);
    out(b, 0x64, 0xd1);
    bus_reset(&b->io);
    i8042_is_idle(state);
    out(b, 0x60, 0); /* no command waits for this */
    assert_int_equal(b->resets, 0);
    assert_int_equal(in(b, 0x60), 0xfe);
    assert_int_equal(ask(b, 0xd0), 0x03);
    out(b, 0x64, 0xfe); /* and it still knows whom to ask */
    assert_int_equal(b->resets, 1);
}

static void debug_exit_tells_the_value(void **state)
{
    static const struct {
        unsigned offset, size;
        uint64_t value;
        uint32_t told;
    } cases[] = {
        {0, 1, 0, 0},           {0, 1, 0x31, 0x31},
        {0, 2, 0x1234, 0x1234}, {0, 4, 0x89abcdef, 0x89abcdef},
        {0, 1, 0x1ff, 0xff},    {3, 1, 7, 7},
    };
    struct board *b = *state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bus_write(&b->io, PORT_DEBUG_EXIT + cases[i].offset, cases[i].size, cases[i].value);
        assert_int_equal(b->exits, i + 1);
        assert_int_equal(b->exit_value, cases[i].told);
    }
    bus_write(&b->io, PORT_DEBUG_EXIT + 3, 2, 1); /* past its end */
    assert_int_equal(b->exits, sizeof(cases) / sizeof(cases[0]));
    assert_int_equal(bus_read(&b->io, PORT_DEBUG_EXIT, 4), 0); /* how a guest finds it */
    assert_int_equal(DEBUG_EXIT_STATUS(0), 1);
    assert_int_equal(DEBUG_EXIT_STATUS(0x31), 0x63);
    assert_int_equal(DEBUG_EXIT_STATUS(0x80), 1); /* what wait(2) leaves of it */
}

static void power_off_and_reset(void **state)
{
    static const struct {
        uint64_t offset;
        uint8_t value;
        unsigned poweroffs, resets;
    } cases[] =
        {
            {POWER_SLEEP_CTL, 0x34, 1, 0},
            {POWER_SLEEP_CTL, 0xf7, 1, 0}, /* bits that are not SLP_EN or SLP_TYP */
            {POWER_SLEEP_CTL, 0x14, 0, 0}, /* no SLP_EN */
            {POWER_SLEEP_CTL, 0x30, 0, 0}, /* S4 */
            {POWER_SLEEP_CTL, 0x42, 0, 0},
            {POWER_SLEEP_STATUS, 0x34, 0, 0},
            {POWER_RESET, 0x42, 0, 1},
            {POWER_RESET, 0x34, 0, 0},
            {POWER_RESET, 0x43, 0, 0},
        };
    struct board *b = *state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        b->poweroffs = b->resets = 0;
        bus_write(&b->mmio, cases[i].offset, 1, cases[i].value);
        assert_int_equal(b->poweroffs, cases[i].poweroffs);
        assert_int_equal(b->resets, cases[i].resets);
        assert_int_equal(bus_read(&b->mmio, cases[i].offset, 1), 0);
    }
}

static void post_remembers(void **state)
{
    struct board *b = *state;
    assert_int_equal(in(b, PORT_POST), 0);
    out(b, PORT_POST, 0xa5);
    assert_int_equal(in(b, PORT_POST), 0xa5);
    assert_int_equal(b->post.code, 0xa5);
    bus_reset(&b->io);
    assert_int_equal(in(b, PORT_POST), 0);
}

/* Milestones and nothing else; after a reset too. */
static void post_names_milestones(void **state)
{
    struct board *b = *state;
    for (unsigned round = 0; round < 2; round++) {
        unsigned named = 0;
        for (unsigned code = 0; code < 256; code++) {
            b->remark = NULL;
            out(b, PORT_POST, (uint8_t)code);
            assert_int_equal(in(b, PORT_POST), code);
            if (!b->remark)
                continue;
            assert_in_range(code, 0x10, 0x1f);
            named++;
        }
        assert_in_range(named, 1, 8);
        out(b, PORT_POST, POST_LONG_MODE);
        assert_string_equal(b->remark, "64-bit mode");
        out(b, PORT_POST, POST_POWER_OFF);
        assert_string_equal(b->remark, "power-off begins");
        bus_reset(&b->io);
    }
    post_init(&b->post, (struct device_remark){0}); /* nobody listens */
    out(b, PORT_POST, POST_LONG_MODE);
}

static void register_names(void **state)
{
    struct board *b = *state;
    static const struct device_ops *const byte_wide[] = {&i8042_ops, &power_ops, &post_ops};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(byte_wide[i]->width, 1);
    }
    assert_string_equal(i8042_ops.reg_name(&b->i8042, 0, true), "data");
    assert_string_equal(i8042_ops.reg_name(&b->i8042, 4, true), "command");
    assert_string_equal(i8042_ops.reg_name(&b->i8042, 4, false), "status");
    assert_null(i8042_ops.reg_name(&b->i8042, 1, false));
    assert_string_equal(power_ops.reg_name(&b->power, POWER_SLEEP_CTL, true), "sleep control");
    assert_string_equal(power_ops.reg_name(&b->power, POWER_RESET, true), "reset");
    assert_null(power_ops.reg_name(&b->power, 3, true));
    assert_string_equal(post_ops.reg_name(&b->post, 0, true), "POST code");
    assert_string_equal(debug_exit_ops.reg_name(&b->debug_exit, 0, true), "exit code");
}

#define BOARD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOARD_TEST(i8042_is_idle),
        BOARD_TEST(i8042_answers),
        BOARD_TEST(i8042_does_not_answer),
        BOARD_TEST(i8042_command_byte),
        BOARD_TEST(i8042_output_port),
        BOARD_TEST(i8042_command_replaces_a_waiting_one),
        BOARD_TEST(i8042_pulses),
        BOARD_TEST(i8042_echoes_what_it_is_given),
        BOARD_TEST(i8042_has_no_keyboard),
        BOARD_TEST(i8042_reset),
        BOARD_TEST(debug_exit_tells_the_value),
        BOARD_TEST(power_off_and_reset),
        BOARD_TEST(post_remembers),
        BOARD_TEST(post_names_milestones),
        BOARD_TEST(register_names),
    };
    return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
