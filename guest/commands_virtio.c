/*
 * commands_virtio.c: the shell's commands for the virtio devices.
 */
#include "drivers.h"
#include "kernel.h"

static bool no_device(const char *name)
{
    print("%s: this machine has no virtio-%s device\n", name, name);
    return true;
}

bool command_rng(int argc, char **argv)
{
    static uint8_t bytes[256];
    uint64_t count = 16;
    if (argc > 2 || (argc == 2 && !parse_number(argv[1], sizeof(bytes), &count)) || count == 0)
        return false;
    for (uint32_t done = 0; done < count;) {
        int got = rng_read(bytes + done, (uint32_t)count - done);
        if (got < 0)
            return no_device(argv[0]);
        if (got == 0) {
            print("rng: the device gives nothing\n");
            return true;
        }
        done += (uint32_t)got;
    }
    print("rng:");
    for (uint32_t i = 0; i < count; i++)
        print(i % 32 == 0 && i ? "\n     %02x" : " %02x", bytes[i]);
    print("\n");
    return true;
}

static bool balloon_info(void)
{
    print("balloon: %u pages, %u wanted, %lu KiB left\n", balloon_actual(), balloon_target(),
          memory_free() >> 10);
    return true;
}

bool command_balloon(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*move)(void);
    } verbs[] = {
        {"inflate", balloon_inflate}, {"deflate", balloon_deflate}, {"report", balloon_report}};
    uint64_t count;
    if (!balloon_open())
        return no_device(argv[0]);
    if (argc == 2 && strcmp(argv[1], "info") == 0)
        return balloon_info();
    if (argc != 3 || !parse_number(argv[2], UINT32_MAX, &count))
        return false;
    if (strcmp(argv[1], "follow") == 0) {
        unsigned asked = balloon_follow(count * TIMER_HZ);
        print("balloon: the host has asked for statistics %u times\n", asked);
        return balloon_info();
    }
    for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        if (verbs[i].move == balloon_report && !balloon_reports()) {
            print("balloon: the device does not take reports of free pages\n");
            return true;
        }
        uint64_t moved = 0;
        while (moved < count && verbs[i].move())
            moved++;
        print("balloon: %s: %lu of %lu MiB\n", verbs[i].name, moved, count);
        return balloon_info();
    }
    return false;
}

static void con_ports(void)
{
    for (unsigned nr = 0; nr < CON_PORTS_MAX; nr++) {
        const struct con_port *port = con_port(nr);
        if (!port)
            continue;
        print("port %u: %s, %s", nr, port->console ? "console" : "serial",
              port->open ? "open" : "closed");
        if (port->cols)
            print(", %u x %u", port->cols, port->rows);
        print(*port->name ? ", %s\n" : "\n", port->name);
    }
}

static void con_write_words(unsigned nr, int count, char **words)
{
    static char text[CON_READ_MAX]; /* a line of the shell, with its end, fits into it */
    char *at = text;
    for (int i = 0; i < count; i++) {
        at = (char *)memcpy(at, words[i], strlen(words[i])) + strlen(words[i]);
        *at++ = i + 1 < count ? ' ' : '\n';
    }
    bool written = con_write(nr, text, (uint32_t)(at - text));
    print("con: %lu bytes %s port %u\n", (uint64_t)(at - text),
          written ? "written to" : "are not taken by", nr);
}

/* What comes until the end of a line, or until nothing comes. */
static void con_read_line(unsigned nr)
{
    uint8_t bytes[CON_READ_MAX];
    uint32_t size, total = 0;
    bool end = false;
    print("con: ");
    while (!end && (size = con_read(nr, bytes, 5 * TIMER_HZ))) {
        total += size;
        end = bytes[size - 1] == '\n';
        for (uint32_t i = 0; i < size; i++)
            print(bytes[i] >= ' ' && bytes[i] <= '~' ? "%c" : "<%02x>", bytes[i]);
    }
    print("\ncon: %u bytes read from port %u\n", total, nr);
}

bool command_con(int argc, char **argv)
{
    uint64_t nr = 0;
    if (!con_open())
        return no_device("console");
    if (argc > 1 && *argv[1] >= '0' && *argv[1] <= '9') {
        if (!parse_number(argv[1], CON_PORTS_MAX - 1, &nr))
            return false;
        argc--;
        argv++;
    } else {
        while (nr < CON_PORTS_MAX - 1 && !con_port((unsigned)nr))
            nr++;
    }
    if (argc == 2 && strcmp(argv[1], "ports") == 0)
        con_ports();
    else if (argc < 2 || (strcmp(argv[1], "read") != 0 && strcmp(argv[1], "write") != 0))
        return false;
    else if (!con_port((unsigned)nr))
        print("con: there is no port %lu\n", nr);
    else if (strcmp(argv[1], "read") == 0 && argc == 2)
        con_read_line((unsigned)nr);
    else if (strcmp(argv[1], "write") == 0 && argc > 2)
        con_write_words((unsigned)nr, argc - 2, argv + 2);
    else
        return false;
    return true;
}
