/*
 * test_image.c: image files that cannot be opened, ROMs, and where an initrd is placed.
 */
#include "boot/image.h"
#include "elf_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <memmap.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MIB  0x100000ull
#define PAGE 4096ull

static char directory[] = "/tmp/kvmlens-image-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* A file of SIZE bytes, all zero and not stored; the caller closes it. */
static int sparse_file(uint64_t size, char path[static 32])
{
    int fd = memory_file("", 0, path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

static void expect_error(const struct error *err, const char *path, const char *text)
{
    char expect[600];
    snprintf(expect, sizeof(expect), "%s: %s", path, text);
    assert_string_equal(err->text, expect);
    assert_int_equal(err->status, STATUS_IMAGE);
}

static void no_rom(const char *path, const char *text)
{
    struct image_file rom;
    struct error err = {0};
    assert_int_equal(rom_open(&rom, path, &err), -1);
    image_file_close(&rom);
    expect_error(&err, path, text);
}

static void cannot_open(void **state)
{
    (void)state;
    no_rom("/nonexistent/rom", "cannot open: No such file or directory");
    no_rom("", "cannot open: No such file or directory");
    no_rom("/tmp", "found a directory, expected a regular file");
    no_rom("/dev/null", "found a character device, expected a regular file");

    char path[64];
    snprintf(path, sizeof(path), "%s/pipe", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    no_rom(path, "found a pipe, expected a regular file");
    assert_int_equal(unlink(path), 0);

    char memory[32];
    int fd = sparse_file(0, memory);
    no_rom(memory, "found an empty file (0 bytes)");
    close(fd);
}

static void no_permission(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "%s/private", directory);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(chmod(directory, 0755), 0);
    const uid_t nobody = 65534;
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(nobody), 0);
    no_rom(path, "cannot open: Permission denied");
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(unlink(path), 0);
}

/* Every opener says the same. */
static void all_open_alike(void **state)
{
    (void)state;
    struct kernel_image kernel;
    struct image_file initrd;
    struct error err = {0};
    uint64_t gpa;
    assert_int_equal(kernel_open(&kernel, "/dev/null", 2 * MIB, &err), -1);
    image_file_close(&kernel.file);
    expect_error(&err, "/dev/null", "found a character device, expected a regular file");
    assert_int_equal(initrd_open(&initrd, "/dev/null", &kernel, 2 * MIB, &gpa, &err), -1);
    image_file_close(&initrd);
    expect_error(&err, "/dev/null", "found a character device, expected a regular file");
}

static void long_path(void **state)
{
    (void)state;
    char path[65536];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    struct image_file rom;
    struct error err = {0};
    assert_int_equal(rom_open(&rom, path, &err), -1);
    image_file_close(&rom);
    assert_int_equal(strncmp(err.text, "...xxx", 6), 0);
    assert_non_null(strstr(err.text, "xxx: cannot open: File name too long"));
}

static void close_twice(void **state)
{
    (void)state;
    char path[32];
    int fd = sparse_file(ROM_UNIT, path);
    struct image_file rom;
    struct error err;
    assert_int_equal(rom_open(&rom, path, &err), 0);
    int opened = rom.fd;
    image_file_close(&rom);
    assert_int_equal(rom.fd, -1);
    image_file_close(&rom);
    assert_int_equal(fcntl(opened, F_GETFD), -1);
    close(fd);
}

static void rom_sizes(void **state)
{
    (void)state;
    static const uint64_t good[] = {ROM_UNIT, 2 * ROM_UNIT, ROM_MAX};
    char path[32];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int fd = sparse_file(good[i], path);
        struct image_file rom;
        struct error err;
        assert_int_equal(rom_open(&rom, path, &err), 0);
        assert_int_equal(rom.size, good[i]);
        image_file_close(&rom);
        close(fd);
    }

    int fd = sparse_file(ROM_UNIT + 1, path);
    no_rom(path, "found a ROM of 65537 bytes, expected a multiple of 65536 (64 KiB); pad it at its "
                 "start: its last 16 bytes are the reset vector");
    close(fd);
    fd = sparse_file(512, path);
    no_rom(path, "found a ROM of 512 bytes, expected a multiple of 65536 (64 KiB); pad it at its "
                 "start: its last 16 bytes are the reset vector");
    close(fd);
    fd = sparse_file(ROM_MAX + ROM_UNIT, path);
    no_rom(path, "found a ROM of 8454144 bytes, expected at most 8388608 (8 MiB)");
    close(fd);

    struct elf_builder b;
    elf_build(&b);
    fd = memory_file(b.bytes, b.size, path);
    no_rom(path, "found an ELF file, expected a flat ROM; use -kernel to boot an ELF kernel");
    close(fd);
}

static void rom_content(void **state)
{
    (void)state;
    uint8_t *image = malloc(ROM_UNIT), *host = calloc(1, ROM_UNIT);
    assert_non_null(image);
    assert_non_null(host);
    for (unsigned i = 0; i < ROM_UNIT; i++)
        image[i] = (uint8_t)(i * 7 + i / 256);
    char path[32];
    int fd = memory_file(image, ROM_UNIT, path);
    struct image_file rom;
    struct error err;
    assert_int_equal(rom_open(&rom, path, &err), 0);
    assert_int_equal(rom_load(&rom, host, &err), 0);
    assert_memory_equal(host, image, ROM_UNIT);

    assert_int_equal(ftruncate(fd, 100), 0);
    assert_int_equal(rom_load(&rom, host, &err), -1);
    expect_error(&err, path,
                 "the file ends at offset 100, expected 65436 more bytes: it shrank while it was "
                 "in use");
    image_file_close(&rom);
    close(fd);
    free(image);
    free(host);
}

static void load_at_gpa(void **state)
{
    (void)state;
    uint8_t *ram = calloc(1, 64);
    assert_non_null(ram);
    struct mem mem = {0};
    assert_int_equal(mem_add(&mem, 0x1000, 64, ram, false), 0);
    char path[32];
    int fd = memory_file("0123456789", 10, path);
    struct image_file file = {.path = path, .fd = fd, .size = 10};
    struct error err;
    assert_int_equal(image_file_load(&file, 3, 4, &mem, 0x1020, &err), 0);
    assert_memory_equal(ram + 0x20, "3456\0", 5);
    assert_int_equal(image_file_load(&file, 0, 0, &mem, 0x9999, &err), 0);
    assert_int_equal(image_file_load(&file, 0, 4, &mem, 0x103d, &err), -1);
    expect_error(&err, path, "cannot load 4 bytes at GPA 0x103d: that is not RAM");
    close(fd);
    free(ram);
}

/* A kernel of one segment. */
static struct kernel_image kernel_at(uint64_t gpa, uint64_t size)
{
    return (struct kernel_image){
        .segment = {{.gpa = gpa, .memsz = size}}, .segment_count = 1, .end = gpa + size};
}

static uint64_t place(uint64_t size, uint64_t ram, const struct kernel_image *kernel)
{
    char path[32];
    int fd = sparse_file(size, path);
    struct image_file initrd;
    struct error err = {0};
    uint64_t gpa = 0;
    if (initrd_open(&initrd, path, kernel, ram, &gpa, &err) < 0)
        gpa = 0;
    else
        assert_int_equal(initrd.size, size);
    image_file_close(&initrd);
    close(fd);
    return gpa;
}

static void initrd_places(void **state)
{
    (void)state;
    struct kernel_image low = kernel_at(MIB, MIB);
    assert_int_equal(place(1, 128 * MIB, &low), 128 * MIB - PAGE);
    assert_int_equal(place(PAGE, 128 * MIB, &low), 128 * MIB - PAGE);
    assert_int_equal(place(PAGE + 1, 128 * MIB, &low), 128 * MIB - 2 * PAGE);
    assert_int_equal(place(126 * MIB, 128 * MIB, &low), 2 * MIB);
    assert_int_equal(place(126 * MIB + 1, 128 * MIB, &low), 0);
    assert_int_equal(place(PAGE, 3072 * MIB, &low), RAM_LOW_TOP - PAGE);
    assert_int_equal(place(PAGE, RAM_MAX_BYTES, &low), RAM_LOW_TOP - PAGE);
    assert_int_equal(place(PAGE, RAM_MIN_BYTES, &low), 0);

    /* A RAM size that is no multiple of a page. */
    assert_int_equal(place(PAGE, 128 * MIB + 100, &low), 128 * MIB - PAGE);

    /* A kernel at the top of RAM: below it, and not below 1 MiB. */
    struct kernel_image high = kernel_at(127 * MIB + 1, MIB - 1);
    assert_int_equal(place(PAGE, 128 * MIB, &high), 127 * MIB - PAGE);
    high = kernel_at(127 * MIB, MIB);
    assert_int_equal(place(126 * MIB, 128 * MIB, &high), MIB);
    assert_int_equal(place(126 * MIB + 1, 128 * MIB, &high), 0);

    /* A kernel in two parts, with a gap that is big enough between them. */
    struct kernel_image parts = kernel_at(MIB, MIB);
    parts.segment[1] = (struct kernel_segment){.gpa = 10 * MIB, .memsz = 118 * MIB};
    parts.segment_count = 2;
    assert_int_equal(place(8 * MIB, 128 * MIB, &parts), 2 * MIB);
    assert_int_equal(place(8 * MIB + 1, 128 * MIB, &parts), 0);
}

static void initrd_too_big(void **state)
{
    (void)state;
    struct kernel_image kernel = kernel_at(MIB, MIB);
    char path[32];
    int fd = sparse_file(127 * MIB, path);
    struct image_file initrd;
    struct error err;
    uint64_t gpa;
    assert_int_equal(initrd_open(&initrd, path, &kernel, 128 * MIB, &gpa, &err), -1);
    image_file_close(&initrd);
    expect_error(
        &err, path,
        "found an initrd of 133169152 bytes, for which there is no room: RAM from 1 MiB to "
        "0x8000000 also holds the kernel, which ends at 0x200000; give the guest more "
        "memory (-m)");
    close(fd);

    fd = sparse_file(1ull << 40, path);
    assert_int_equal(initrd_open(&initrd, path, &kernel, RAM_MAX_BYTES, &gpa, &err), -1);
    image_file_close(&initrd);
    expect_error(&err, path,
                 "found an initrd of 1099511627776 bytes, for which there is no room: RAM from 1 "
                 "MiB to 0xc0000000 also holds the kernel, which ends at 0x200000; an initrd must "
                 "fit below 3 GiB");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest image[] = {
        cmocka_unit_test(cannot_open),    cmocka_unit_test(no_permission),
        cmocka_unit_test(all_open_alike), cmocka_unit_test(long_path),
        cmocka_unit_test(close_twice),    cmocka_unit_test(rom_sizes),
        cmocka_unit_test(rom_content),    cmocka_unit_test(load_at_gpa),
        cmocka_unit_test(initrd_places),  cmocka_unit_test(initrd_too_big),
    };
    return cmocka_run_group_tests(image, make_directory, remove_directory);
}
