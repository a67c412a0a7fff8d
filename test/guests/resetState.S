/* Proves that a reset restores what a guest set in its CPU: prints `N` at every start that finds it as new, fails otherwise. */
#include "guest.h"

#define MSR_MTRRfix64K_00000    0x250
#define MSR_IA32_CR_PAT         0x277
#define PAT_POWER_ON            0x00070406      /* both halves, SDM 3A table 12-12 */
#define PAT_OURS                0x00070106
#define WRITE_BACK              0x06060606

        MULTIBOOT_HEADER
        .global start
start:
        mov     $MSR_IA32_CR_PAT, %ecx
        rdmsr
        cmp     $PAT_POWER_ON, %eax
        jne     used
        mov     $PAT_OURS, %eax
        wrmsr
        mov     $MSR_MTRRfix64K_00000, %ecx
        rdmsr
        test    %eax, %eax
        jne     used
        mov     $WRITE_BACK, %eax
        wrmsr
        mov     %dr0, %eax
        test    %eax, %eax
        jne     used
        mov     $start, %eax
        mov     %eax, %dr0

        PUT     'N'
        mov     $0xcf9, %dx
        mov     $0x06, %al
        out     %al, %dx
        EXPECT_END
used:
        EXIT    EXIT_FAILED
