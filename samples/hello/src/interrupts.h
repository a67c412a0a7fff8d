/* The interrupt descriptor table, the two 8259 interrupt controllers, and what happens when an interrupt or exception arrives. */
#pragma once

#include <stdint.h>

/* What vectors.S saves, lowest address first: our registers, then what the CPU pushes by itself. */
struct interrupt_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector;
    uint64_t error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Fills the IDT and programs the interrupt controllers. Interrupts stay off until wait_for_interrupt. */
void interrupts_init(void);

/*
 * Sleeps until an interrupt has been handled. This is the only place where interrupts are on, so the rest of the kernel never
 * races with its handlers. (sti takes effect after the next instruction: nothing can slip in between it and hlt.)
 */
static inline void wait_for_interrupt(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}
