/*
 * One entry point per interrupt vector. Each pushes its number and falls into a common part that saves the registers as a
 * struct interrupt_frame (interrupts.h), calls interrupt_handler(frame) and returns to where the CPU was.
 *
 * The .cfi lines tell a debugger where each register is saved, so that its call stack reaches through an interrupt.
 */

        .cfi_sections .debug_frame

        .macro  SAVE register
        push    %\register
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset \register, 0
        .endm

        .macro  RESTORE register
        pop     %\register
        .cfi_adjust_cfa_offset -8
        .cfi_restore \register
        .endm

/* The CPU has pushed SS, RSP, RFLAGS, CS and RIP; `above` bytes have been pushed since. */
        .macro  INTERRUPT_FRAME above
        .cfi_startproc simple
        .cfi_signal_frame
        .cfi_def_cfa rsp, 40 + \above
        .cfi_offset rip, -40
        .cfi_offset rsp, -16
        .endm

/* 8 (#DF), 10 to 14 and 17 (#AC) come with an error code; the others get a 0, so that all frames look the same. */
        .macro  VECTOR number
vector_\number:
        .if     (\number == 8) || (\number >= 10 && \number <= 14) || (\number == 17)
        INTERRUPT_FRAME 8
        .else
        INTERRUPT_FRAME 0
        push    $0
        .cfi_adjust_cfa_offset 8
        .endif
        push    $\number
        .cfi_adjust_cfa_offset 8
        jmp     common
        .cfi_endproc

        .pushsection .rodata
        .quad   vector_\number
        .popsection
        .endm

        .section .rodata
        .balign 8
        .global vectors
vectors:                                /* the table that interrupts.c makes the IDT of */

        .text
        .altmacro
        .set    number, 0
        .rept   48                      /* 32 exceptions, 16 interrupt lines */
        VECTOR  %number
        .set    number, number + 1
        .endr
        .noaltmacro

        .type   common, @function
common:
        INTERRUPT_FRAME 16
        SAVE    rax
        SAVE    rbx
        SAVE    rcx
        SAVE    rdx
        SAVE    rsi
        SAVE    rdi
        SAVE    rbp
        SAVE    r8
        SAVE    r9
        SAVE    r10
        SAVE    r11
        SAVE    r12
        SAVE    r13
        SAVE    r14
        SAVE    r15
        mov     %rsp, %rdi
        cld
        call    interrupt_handler
        RESTORE r15
        RESTORE r14
        RESTORE r13
        RESTORE r12
        RESTORE r11
        RESTORE r10
        RESTORE r9
        RESTORE r8
        RESTORE rbp
        RESTORE rdi
        RESTORE rsi
        RESTORE rdx
        RESTORE rcx
        RESTORE rbx
        RESTORE rax
        add     $16, %rsp               /* vector and error code */
        .cfi_adjust_cfa_offset -16
        iretq
        .cfi_endproc
        .size   common, . - common
