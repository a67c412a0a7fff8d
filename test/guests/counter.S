/* Proves breakpoints and steps: counts in memory forever, through two calls. `counter` is the word, `add_one` the place to stop. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start, loop, step, add_one, counter
start:
        LOAD_SEGMENTS
        PUT     'C'
loop:   call    step
        jmp     loop

        .type   step, @function
step:   mov     $1, %ebx
        call    add_one
        ret
        .size   step, . - step

        .type   add_one, @function
add_one:
        add     %ebx, counter
        ret
        .size   add_one, . - add_one

        .bss
        .balign 8
        .type   counter, @object
        .size   counter, 8
counter:
        .skip   8
