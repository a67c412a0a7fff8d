/* Proves how soon a guest runs: one byte on COM1, then the end. */
#include "guest.h"

        MULTIBOOT_HEADER
        .global start
start:
        PUT     'F'
        EXIT    EXIT_OK
