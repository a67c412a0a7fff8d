/*
 * Hello: a kernel that answers keys. Set a breakpoint in on_key, press a key in the terminal, and look around:
 * `key` is what you pressed, `statistics` what the kernel has seen so far, the call stack leads back to kernel_main.
 */
#include <stdbool.h>
#include <stdint.h>

#include "interrupts.h"
#include "memory.h"
#include "power.h"
#include "print.h"
#include "serial.h"
#include "timer.h"

enum { MULTIBOOT_LOADED = 0x2badb002 };

/* The beginning of what a multiboot loader tells us. */
struct multiboot_info {
    uint32_t flags;
    uint32_t kib_below_1m;
    uint32_t kib_above_1m;
};

enum { HISTORY = 8 };

struct statistics {
    uint64_t ticks;                     /* timer interrupts seen */
    uint64_t keys;                      /* keys pressed */
    uint64_t faults;                    /* page faults provoked */
    char last_key;
    uint16_t keys_per_second[HISTORY];  /* of the last seconds, the current one first */
};

static void print_banner(const struct multiboot_info *info)
{
    print("Hello from a 64-bit kernel.\n");
    print("%u MiB of memory, %u timer ticks per second.\n", info->kib_above_1m / 1024ul + 1, (uint64_t)TICKS_PER_SECOND);
    print("Press h for help.\n");
}

static void print_help(void)
{
    print("h  this help\n"
          "s  status\n"
          "p  touch memory that is not there yet: a page fault, handled\n"
          "f  touch memory that never will be: a page fault, fatal\n"
          "r  reset\n"
          "x  triple fault\n"
          "q  power off\n"
          "Other keys are echoed.\n");
}

static void print_status(const struct statistics *statistics)
{
    print("up %u s, %u ticks, %u keys, %u page faults; keys per second, newest first:",
          statistics->ticks / TICKS_PER_SECOND, statistics->ticks, statistics->keys, statistics->faults);
    for (int i = 0; i < HISTORY; i++)
        print(" %u", (uint64_t)statistics->keys_per_second[i]);
    print("\n");
}

/* Every page beyond the last one is new, so each call faults once; the handler maps the page and the write succeeds. */
static void provoke_page_fault(struct statistics *statistics)
{
    volatile uint64_t *word = (volatile uint64_t *)(DEMAND_BASE + statistics->faults * PAGE_SIZE);

    statistics->faults++;
    *word = statistics->faults;
    print("wrote %u to %x\n", *word, (uint64_t)word);
}

static void provoke_fatal_fault(void)
{
    volatile uint64_t *nowhere = (volatile uint64_t *)0xdead0000;

    *nowhere = 1;
}

static void start_new_second(struct statistics *statistics)
{
    for (int i = HISTORY - 1; i > 0; i--)
        statistics->keys_per_second[i] = statistics->keys_per_second[i - 1];
    statistics->keys_per_second[0] = 0;
}

static void on_tick(struct statistics *statistics, uint64_t ticks)
{
    statistics->ticks = ticks;
    if (ticks % TICKS_PER_SECOND == 0)
        start_new_second(statistics);
}

static void on_key(struct statistics *statistics, char key)
{
    statistics->keys++;
    statistics->keys_per_second[0]++;
    statistics->last_key = key;

    switch (key) {
    case 'h':
        print_help();
        break;
    case 's':
        print_status(statistics);
        break;
    case 'p':
        provoke_page_fault(statistics);
        break;
    case 'f':
        provoke_fatal_fault();
        break;
    case 'r':
        power_reset();
        break;
    case 'x':
        power_triple_fault();
        break;
    case 'q':
        print("Goodbye.\n");
        power_off();
        break;
    case '\r':
        print("\n");
        break;
    default:
        print("%c", key);
    }
}

/* Called by boot.S with what the loader left in EAX and EBX. */
void kernel_main(uint32_t magic, const struct multiboot_info *info)
{
    struct statistics statistics = { 0 };

    serial_init();
    if (magic != MULTIBOOT_LOADED) {
        print("This kernel must be started by a multiboot loader.\n");
        return;
    }
    memory_init();
    interrupts_init();
    timer_init();
    print_banner(info);

    for (;;) {
        wait_for_interrupt();

        uint64_t ticks = timer_ticks();
        if (ticks != statistics.ticks)
            on_tick(&statistics, ticks);

        char key;
        while (serial_read(&key))
            on_key(&statistics, key);
    }
}
