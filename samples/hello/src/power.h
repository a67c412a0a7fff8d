/* Three ways to end: properly, by a reset, and by a crash that no handler can catch. */
#pragma once

void power_off(void);
void power_reset(void);
void power_triple_fault(void);
