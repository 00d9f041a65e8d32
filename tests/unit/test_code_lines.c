/*
 * test_code_lines.c: source lines from DWARF, read here and by the child, and a child that dies
 * or hangs.
 */
#include "trace/code_lines.h"

#include "code_elf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

static const struct {
    unsigned offset;
    const char *file; /* NULL: not known */
    unsigned line;
} rows[] = {
    {0, "a.c", 10},
    {1, "a.c", 10},
    {2, "a.c", 11},
    {3, "include/inc.h", 12},
    {7, "include/inc.h", 12},
    {8, NULL, 0}, /* the end of the sequence */
    {15, NULL, 0},
    {16, NULL, 0},
    {~0u, NULL, 0},
};

static int elf_file(const struct code_elf *elf)
{
    char path[32];
    int fd = code_elf_file(elf, sizeof(*elf), path);

    assert_true(fd >= 0);
    return fd;
}

static void read_here(void **state)
{
    struct code_elf elf;
    char file[CODE_FILE_MAX];
    unsigned line;

    (void)state;
    code_elf_build(&elf);
    int fd = elf_file(&elf);
    struct code_dwarf *dwarf = code_dwarf_open(fd);
    assert_non_null(dwarf);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool found = code_dwarf_find(dwarf, CODE_ELF_ADDR + rows[i].offset, file, &line);
        assert_int_equal(found, rows[i].file != NULL);
        if (found) {
            assert_string_equal(file, rows[i].file);
            assert_int_equal(line, rows[i].line);
        }
    }
    code_dwarf_close(dwarf);
    close(fd);
    assert_false(code_dwarf_find(NULL, CODE_ELF_ADDR, file, &line));
    assert_null(code_dwarf_open(-1));
}

extern const char __executable_start[]; /* the linker's: where this program was loaded */

/* This program's own lines: many units, and .debug_aranges. */
static void read_this_program(void **state)
{
    static const char text[] = "not an ELF file";
    char file[CODE_FILE_MAX], path[32];
    unsigned line;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    (void)state;
    struct code_dwarf *dwarf = code_dwarf_open(fd);
    assert_non_null(dwarf);
    uint64_t here = (uint64_t)((uintptr_t)read_here - (uintptr_t)__executable_start);
    assert_true(code_dwarf_find(dwarf, here, file, &line));
    assert_string_equal(file, "tests/unit/test_code_lines.c");
    code_dwarf_close(dwarf);
    close(fd);
    fd = code_elf_file(text, sizeof(text), path);
    assert_null(code_dwarf_open(fd));
    close(fd);
}

/* Where its caller's copy of it is. */
static inline __attribute__((always_inline)) uintptr_t inlined(void)
{
    uintptr_t here;

    __asm__ volatile("lea 0(%%rip), %0" : "=r"(here));
    return here;
}

static inline __attribute__((always_inline)) uintptr_t inlined_twice(void)
{
    return inlined();
}

/* Code that was inlined is told by the line of the function that it is in. */
static void calls_of_inlined_code(void **state)
{
    char file[CODE_FILE_MAX];
    unsigned line;
    struct code_dwarf *dwarf = code_dwarf_open(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    struct {
        unsigned line;
        uintptr_t at;
    } calls[2];

    (void)state;
    assert_non_null(dwarf);
    calls[0].line = __LINE__ + 1;
    calls[0].at = inlined();
    calls[1].line = __LINE__ + 1;
    calls[1].at = inlined_twice();
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = (uint64_t)(calls[i].at - (uintptr_t)__executable_start);
        assert_true(code_dwarf_find(dwarf, at, file, &line));
        assert_string_equal(file, "tests/unit/test_code_lines.c");
        assert_int_equal(line, calls[i].line);
    }
    code_dwarf_close(dwarf);
}

/* A name is relative to the folder of its compilation, if it is below it. */
static void folders(void **state)
{
    static const struct {
        const char *folder, *file;
    } cases[] = {{"/src", "a.c"}, {"/sr", "/src/a.c"}, {"/usr", "/src/a.c"}, {"", "/src/a.c"}};
    struct code_elf elf;
    char file[CODE_FILE_MAX];
    unsigned line;

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        code_elf_build(&elf);
        memset(elf.info.folder, 0, sizeof(elf.info.folder));
        memcpy(elf.info.folder, cases[i].folder, strlen(cases[i].folder));
        int fd = elf_file(&elf);
        struct code_dwarf *dwarf = code_dwarf_open(fd);
        assert_true(code_dwarf_find(dwarf, CODE_ELF_ADDR, file, &line));
        assert_string_equal(file, cases[i].file);
        code_dwarf_close(dwarf);
        close(fd);
    }
}

/* --- the child ---------------------------------------------------------------------------------- */

static struct code_lines *start(void)
{
    struct code_elf elf;

    code_elf_build(&elf);
    int fd = elf_file(&elf);
    struct code_lines *lines = code_lines_open(fd);
    close(fd);
    assert_non_null(lines);
    return lines;
}

/* The process that start() has made. */
static pid_t find_child(void)
{
    FILE *file = fopen("/proc/thread-self/children", "re");
    int pid = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

static void expect_no_child(void)
{
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void asked_of_the_child(void **state)
{
    struct code_lines *lines = start();
    char file[CODE_FILE_MAX];
    unsigned line;

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool found = code_lines_find(lines, CODE_ELF_ADDR + rows[i].offset, file, &line);
        assert_int_equal(found, rows[i].file != NULL);
        if (found) {
            assert_string_equal(file, rows[i].file);
            assert_int_equal(line, rows[i].line);
        }
    }
    code_lines_close(lines);
    expect_no_child();
    assert_false(code_lines_find(NULL, CODE_ELF_ADDR, file, &line));
    code_lines_close(NULL);
}

/* It has two files and few system calls, and a signal from the terminal does not end it. */
static void locked_in(void **state)
{
    struct code_lines *lines = start();
    char file[CODE_FILE_MAX], path[64], text[128];
    unsigned line, files = 0, mode = 0;
    pid_t child = find_child();

    (void)state;
    kill(child, SIGINT);
    kill(child, SIGTERM);
    assert_true(code_lines_find(lines, CODE_ELF_ADDR, file, &line));
    snprintf(path, sizeof(path), "/proc/%d/fd", child);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        files += entry->d_name[0] != '.';
    closedir(folder);
    assert_int_equal(files, 2);
    snprintf(path, sizeof(path), "/proc/%d/status", child);
    FILE *status = fopen(path, "re");
    assert_non_null(status);
    while (fgets(text, sizeof(text), status))
        sscanf(text, "Seccomp: %u", &mode);
    fclose(status);
    assert_int_equal(mode, 2); /* SECCOMP_MODE_FILTER */
    code_lines_close(lines);
}

static void dead(void **state)
{
    struct code_lines *lines = start();
    char file[CODE_FILE_MAX];
    unsigned line;

    (void)state;
    assert_true(code_lines_find(lines, CODE_ELF_ADDR, file, &line));
    kill(find_child(), SIGKILL);
    assert_false(code_lines_find(lines, CODE_ELF_ADDR, file, &line));
    expect_no_child();
    assert_false(code_lines_find(lines, CODE_ELF_ADDR, file, &line));
    code_lines_close(lines);
}

/* One that never ends by itself does not keep the parent from its end. */
static void stopped(void **state)
{
    struct code_lines *lines = start();

    (void)state;
    kill(find_child(), SIGSTOP);
    code_lines_close(lines);
    expect_no_child();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_here),
        cmocka_unit_test(read_this_program),
        cmocka_unit_test(calls_of_inlined_code),
        cmocka_unit_test(folders),
        cmocka_unit_test(asked_of_the_child),
        cmocka_unit_test(locked_in),
        cmocka_unit_test(dead),
        cmocka_unit_test(stopped),
    };
    return cmocka_run_group_tests_name("code_lines", tests, NULL, NULL);
}
