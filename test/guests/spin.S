/* Proves that a vCPU that never exits can be paused: an endless loop of one instruction. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start, spin
start:
        PUT     'S'
spin:   jmp     spin
