/* The 8254 timer, the PC's oldest clock: interrupts at a fixed rate. */
#pragma once

#include <stdint.h>

enum { TICKS_PER_SECOND = 20 };

void timer_init(void);

/* Interrupts since timer_init. */
uint64_t timer_ticks(void);

/* Called by the interrupt handler at every tick. */
void timer_interrupt(void);
