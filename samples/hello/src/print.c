#include "print.h"

#include <stdarg.h>

#include "serial.h"

static void print_string(const char *string)
{
    while (*string != '\0')
        serial_write(*string++);
}

static void print_number(unsigned long value, unsigned int base)
{
    char digits[20];            /* 2^64 has 20 decimal digits */
    int count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0)
        serial_write(digits[--count]);
}

void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            serial_write(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            print_string(va_arg(arguments, const char *));
            break;
        case 'c':
            serial_write(va_arg(arguments, int));
            break;
        case 'u':
            print_number(va_arg(arguments, unsigned long), 10);
            break;
        case 'x':
            print_string("0x");
            print_number(va_arg(arguments, unsigned long), 16);
            break;
        default:
            serial_write(*format);
        }
    }
    va_end(arguments);
}
