/*
 * print.c: formatted text on the serial line, a small part of printf (C17 7.21.6.1).
 */
#include "kernel.h"

#include <stdarg.h>

struct spec {
    bool left, zeros;
    unsigned width;
};

static void put(char c)
{
    if (c == '\n')
        serial_put('\r');
    serial_put(c);
}

static void put_field(const char *text, size_t length, struct spec spec)
{
    size_t fill = length < spec.width ? spec.width - length : 0;
    for (size_t i = 0; !spec.left && i < fill; i++)
        put(spec.zeros ? '0' : ' ');
    for (size_t i = 0; i < length; i++)
        put(text[i]);
    for (size_t i = 0; spec.left && i < fill; i++)
        put(' ');
}

static void put_number(uint64_t value, unsigned base, bool negative, struct spec spec)
{
    char text[24];
    size_t at = sizeof(text);
    do {
        text[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        text[--at] = '-';
    put_field(text + at, sizeof(text) - at, spec);
}

/* Reads the flags, the width and the length that follow a '%'. */
static const char *read_spec(const char *format, struct spec *spec, bool *wide)
{
    for (;; format++) {
        if (*format == '-')
            spec->left = true;
        else if (*format == '0')
            spec->zeros = true;
        else
            break;
    }
    for (; *format >= '0' && *format <= '9'; format++)
        spec->width = spec->width * 10 + (unsigned)(*format - '0');
    for (; *format == 'l' || *format == 'z'; format++)
        *wide = true;
    return format;
}

void print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        struct spec spec = {0};
        bool wide = false;
        format = read_spec(format + 1, &spec, &wide);
        if (*format == 'd') {
            int64_t value = wide ? va_arg(args, int64_t) : va_arg(args, int);
            put_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, value < 0, spec);
        } else if (*format == 'u' || *format == 'x') {
            uint64_t value = wide ? va_arg(args, uint64_t) : va_arg(args, unsigned);
            put_number(value, *format == 'u' ? 10 : 16, false, spec);
        } else if (*format == 's') {
            const char *text = va_arg(args, const char *);
            put_field(text, strlen(text), spec);
        } else if (*format == 'c') {
            put((char)va_arg(args, int));
        } else if (*format == '%') {
            put('%');
        } else {
            break; /* the compiler checks formats; this is the end of the text after a lone '%' */
        }
    }
    va_end(args);
}

void dump(uint64_t at, const uint8_t *bytes, uint32_t size)
{
    bool repeated = false;
    for (uint32_t i = 0; i < size; i += 16) {
        uint32_t end = size - i < 16 ? size : i + 16;
        if (i && end == i + 16 && memcmp(bytes + i, bytes + i - 16, 16) == 0) {
            if (!repeated)
                print("*\n");
            repeated = true;
            continue;
        }
        repeated = false;
        print("%08lx ", at + i);
        for (uint32_t j = i; j < i + 16; j++) {
            if (j < end)
                print(" %02x", bytes[j]);
            else
                print("   ");
        }
        print("  |");
        for (uint32_t j = i; j < end; j++)
            print("%c", bytes[j] >= ' ' && bytes[j] <= '~' ? bytes[j] : '.');
        print("|\n");
    }
}
