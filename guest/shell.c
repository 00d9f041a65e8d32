/*
 * shell.c: reads a line with editing, splits it into words, runs the command.
 */
#include "kernel.h"
#include "x86.h"

#include <ports.h>
#include <post_codes.h>

#define LINE_MAX    256
#define WORDS_MAX   16
#define HISTORY_MAX 8

#define KEY_CTRL_C    0x03
#define KEY_BACKSPACE 0x08
#define KEY_CTRL_U    0x15
#define KEY_ESCAPE    0x1b
#define KEY_DELETE    0x7f

struct line {
    char text[LINE_MAX];
    unsigned length;
};

static struct {
    struct line history[HISTORY_MAX]; /* a ring: line N is at N % HISTORY_MAX */
    unsigned lines;
    bool after_cr; /* the line before ended in CR: a LF behind it belongs to it */
} editor;

static void erase(struct line *line)
{
    for (; line->length; line->length--)
        print("\b \b");
}

static void append(struct line *line, char c)
{
    if (line->length + 1 < LINE_MAX) {
        line->text[line->length++] = c;
        print("%c", c);
    }
}

static void show(struct line *line, const struct line *from)
{
    erase(line);
    for (unsigned i = 0; i < from->length; i++)
        append(line, from->text[i]);
}

/* ESC [ A and ESC [ B: the line before, the line after. *AT is the number of the line shown. */
static void escape(struct line *line, unsigned *at)
{
    if (serial_get() != '[')
        return;
    char key = serial_get();
    unsigned oldest = editor.lines > HISTORY_MAX ? editor.lines - HISTORY_MAX : 0;
    if (key == 'A' && *at > oldest) {
        show(line, &editor.history[--*at % HISTORY_MAX]);
    } else if (key == 'B' && *at < editor.lines) {
        if (++*at == editor.lines)
            erase(line);
        else
            show(line, &editor.history[*at % HISTORY_MAX]);
    }
}

static void read_line(struct line *line)
{
    unsigned at = editor.lines;
    line->length = 0;
    for (;;) {
        char c = serial_get();
        bool after_cr = editor.after_cr;
        editor.after_cr = c == '\r';
        if (c == '\n' && after_cr)
            continue;
        if (c == '\r' || c == '\n')
            break;
        if ((c == KEY_BACKSPACE || c == KEY_DELETE) && line->length) {
            line->length--;
            print("\b \b");
        } else if (c == KEY_CTRL_U) {
            erase(line);
        } else if (c == KEY_CTRL_C) {
            print("^C");
            line->length = 0;
            break;
        } else if (c == KEY_ESCAPE) {
            escape(line, &at);
        } else if (c >= ' ' && c < KEY_DELETE) {
            append(line, c);
        }
    }
    print("\n");
    line->text[line->length] = 0;
    if (line->length)
        editor.history[editor.lines++ % HISTORY_MAX] = *line;
}

bool parse_number(const char *text, uint64_t max, uint64_t *value)
{
    const char *end = scan_number(text, value);
    if (!end || *end) {
        print("%s: not a number (decimal, or hexadecimal after 0x)\n", text);
        return false;
    }
    if (*value > max) {
        print("%s: too large (at most 0x%lx)\n", text, max);
        return false;
    }
    return true;
}

static void run_words(int argc, char **argv)
{
    for (unsigned i = 0; i < command_count; i++) {
        if (strcmp(argv[0], commands[i].name) == 0) {
            if (!commands[i].run(argc, argv))
                print("usage: %s %s\n", commands[i].name, commands[i].usage);
            return;
        }
    }
    print("%s: no such command (try help)\n", argv[0]);
}

/* Splits TEXT at its blanks, in place. */
static void run_line(char *text)
{
    char *words[WORDS_MAX + 1];
    int count = 0;
    for (;;) {
        while (*text == ' ')
            *text++ = 0;
        if (!*text)
            break;
        if (count == WORDS_MAX) {
            print("too many words (at most %d)\n", WORDS_MAX);
            return;
        }
        words[count++] = text;
        while (*text && *text != ' ')
            text++;
    }
    words[count] = NULL;
    if (count)
        run_words(count, words);
}

/* The option run=COMMAND,COMMAND,... of the kernel's command line; a + stands for a blank. */
static void run_command_line(void)
{
    const char *start = memory()->command_line, *at = start;
    while ((at = find(at, "run=")) && at != start && at[-1] != ' ')
        at++;
    if (!at)
        return;
    at += strlen("run=");
    while (*at && *at != ' ') {
        struct line line = {.length = 0};
        print("> ");
        for (; *at && *at != ' ' && *at != ','; at++)
            append(&line, *at == '+' ? ' ' : *at);
        print("\n");
        run_line(line.text);
        if (*at == ',')
            at++;
    }
}

void shell(void)
{
    out8(PORT_POST, POST_SHELL);
    run_command_line();
    print("type help for the commands\n");
    for (;;) {
        struct line line;
        print("> ");
        read_line(&line);
        run_line(line.text);
    }
}
