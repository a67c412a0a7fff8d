#include "power.h"

#include "io.h"

enum {
    PM1_CONTROL = 0x604,        /* the ACPI tables say which port, and which sleep type is "off" */
    SLEEP_TYPE_OFF = 5 << 10,
    SLEEP_TYPE_OFF_IN_QEMU = 0 << 10,
    SLEEP_ENABLE = 1 << 13,
    RESET_CONTROL = 0xcf9,
    RESET_CPU = 0x06,
};

void power_off(void)
{
    outw(PM1_CONTROL, SLEEP_TYPE_OFF | SLEEP_ENABLE);
    outw(PM1_CONTROL, SLEEP_TYPE_OFF_IN_QEMU | SLEEP_ENABLE);
}

void power_reset(void)
{
    outb(RESET_CONTROL, RESET_CPU);
}

/* An exception without a handler is a double fault; a double fault without a handler shuts the CPU down. */
void power_triple_fault(void)
{
    static const uint8_t no_idt[10];

    __asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
}
