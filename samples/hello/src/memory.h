/* Memory that appears when it is touched: an area of addresses with nothing mapped until a page fault asks for it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    PAGE_SIZE = 4096,
    DEMAND_PAGES = 8,           /* how many pages we have to give */
};

#define DEMAND_BASE 0x40000000ul        /* 1 GiB; boot.S maps the first 16 MiB only */

void memory_init(void);

/* CR2: the address of the last page fault. */
uint64_t memory_fault_address(void);

/* Puts a page of zeroes at that address. False if it is outside the area, or the pages are used up. */
bool memory_map_page(uint64_t address);
