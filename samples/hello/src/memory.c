#include "memory.h"

enum { PRESENT_WRITABLE = 0x03 };

extern uint64_t page_directory_pointers[512];   /* in boot.S */

static uint64_t demand_directory[512] __attribute__((aligned(PAGE_SIZE)));
static uint64_t demand_table[512] __attribute__((aligned(PAGE_SIZE)));
static uint8_t pages[DEMAND_PAGES][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static unsigned int pages_used;

/* Hangs an empty page table below DEMAND_BASE: pointers[1] covers the second GiB, directory[0] its first 2 MiB. */
void memory_init(void)
{
    demand_directory[0] = (uint64_t)demand_table | PRESENT_WRITABLE;
    page_directory_pointers[1] = (uint64_t)demand_directory | PRESENT_WRITABLE;
}

uint64_t memory_fault_address(void)
{
    uint64_t address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    return address;
}

bool memory_map_page(uint64_t address)
{
    uint64_t index = (address - DEMAND_BASE) / PAGE_SIZE;

    if (address < DEMAND_BASE || index >= 512 || pages_used == DEMAND_PAGES)
        return false;
    demand_table[index] = (uint64_t)pages[pages_used++] | PRESENT_WRITABLE;
    return true;
}
