#include "timer.h"

#include "io.h"

enum {
    CHANNEL_0 = 0x40,
    COMMAND = 0x43,
    RATE_GENERATOR = 0x34,      /* channel 0, low byte then high byte, mode 2 */
    INPUT_HZ = 1193182,
    DIVISOR = INPUT_HZ / TICKS_PER_SECOND,
};

_Static_assert(DIVISOR <= 0xffff, "the counter has 16 bits: no fewer than 19 ticks per second");

static uint64_t ticks;

void timer_init(void)
{
    outb(COMMAND, RATE_GENERATOR);
    outb(CHANNEL_0, DIVISOR & 0xff);
    outb(CHANNEL_0, DIVISOR >> 8);
}

uint64_t timer_ticks(void)
{
    return ticks;
}

void timer_interrupt(void)
{
    ticks++;
}
