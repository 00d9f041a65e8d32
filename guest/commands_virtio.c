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
