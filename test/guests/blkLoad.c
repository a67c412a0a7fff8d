/*
 * Loads a virtio block device over MMIO with requests, for the bench: prints S, then D when `count` of them are
 * done. Polls, with interrupts suppressed. The command line says where to look for the device and what to do;
 * with `warm`, S is printed when that many of them are done:
 *
 *     scan=BASE,STRIDE,SLOTS op=read|write bytes=4096 depth=32 count=10000 step=random|next [warm=1000]
 *
 * Before that, with `resets=N`, it resets the device so often in the middle of reads of zeros, and looks whether
 * memory is left alone from then on: R for each time that it is.
 *
 * With `rounds=N`, it does that so often, and flushes before each D; what is written then has in each sector the number
 * of its request, from 1: for those who look what is left when the VMM is killed.
 *
 * Virtio 1.2: section numbers below are its. Entered by multiboot 1: 32-bit, no paging.
 */
#include <stdint.h>

#define MULTIBOOT_MAGIC 0x1badb002u
__attribute__((section(".multiboot"), used)) static const uint32_t header[] = {MULTIBOOT_MAGIC, 0, -MULTIBOOT_MAGIC};

/* 4.2.2, MMIO registers. */
enum {
	MAGIC = 0x000,
	DEVICE_ID = 0x008,
	DEVICE_FEATURES = 0x010,
	DEVICE_FEATURES_SEL = 0x014,
	DRIVER_FEATURES = 0x020,
	DRIVER_FEATURES_SEL = 0x024,
	QUEUE_SEL = 0x030,
	QUEUE_NUM_MAX = 0x034,
	QUEUE_NUM = 0x038,
	QUEUE_READY = 0x044,
	QUEUE_NOTIFY = 0x050,
	STATUS = 0x070,
	QUEUE_DESC_LOW = 0x080,
	QUEUE_AVAIL_LOW = 0x090,
	QUEUE_USED_LOW = 0x0a0,
	CAPACITY = 0x100,
};
#define MAGIC_VALUE 0x74726976u
#define ID_BLOCK 2
#define BLK_F_FLUSH (1u << 9) /* 5.2.3 */
#define BLK_T_FLUSH 4 /* 5.2.6 */

/* 2.1 */
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };

/* 2.7 */
enum { DESC_NEXT = 1, DESC_WRITE = 2, AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };
#define QUEUE_SIZE 128
#define MAX_DEPTH 32
#define MAX_BYTES (1024 * 1024)

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
struct request {
	uint32_t type, reserved;
	uint64_t sector;
};

static __attribute__((aligned(4096))) struct desc desc[QUEUE_SIZE];
static __attribute__((aligned(4096))) volatile struct {
	uint16_t flags, idx, ring[QUEUE_SIZE];
} avail;
static __attribute__((aligned(4096))) volatile struct {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[QUEUE_SIZE];
} used;
static struct request requests[MAX_DEPTH];
static volatile uint8_t statuses[MAX_DEPTH];
static __attribute__((aligned(4096))) uint8_t data[MAX_DEPTH * 4096 > 4 * MAX_BYTES ? MAX_DEPTH * 4096 : 4 * MAX_BYTES];
static __attribute__((aligned(16), used)) uint8_t stack[8192];

static volatile uint8_t *device;

static void out(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void put(char c)
{
	out(0x3f8, c);
}

static void __attribute__((noreturn)) end(uint8_t value)
{
	out(0xf4, value);
	for (;;)
		__asm__ volatile("hlt");
}

#define EXIT_OK 0x10
#define EXIT_FAILED 0x20

static uint32_t get(uint32_t reg)
{
	return *(volatile uint32_t *)(device + reg);
}

static void set(uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)(device + reg) = value;
}

/* The text after `key`, which ends with '='; null without it. */
static const char *optional(const char *line, const char *key)
{
	for (; *line; line++) {
		const char *at = line, *want = key;
		while (*want && *at == *want)
			at++, want++;
		if (!*want)
			return at;
	}
	return 0;
}

static const char *option(const char *line, const char *key)
{
	const char *text = optional(line, key);
	if (!text)
		end(EXIT_FAILED);
	return text;
}

static uint32_t number(const char **text)
{
	uint32_t value = 0, base = 10;
	const char *at = *text;
	if (at[0] == '0' && at[1] == 'x')
		at += 2, base = 16;
	for (;; at++) {
		uint32_t digit = *at >= '0' && *at <= '9' ? *at - '0' : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10 : 99;
		if (digit >= base)
			break;
		value = value * base + digit;
	}
	*text = *at == ',' ? at + 1 : at;
	return value;
}

static void find(const char *where)
{
	uint32_t base = number(&where), stride = number(&where), slots = number(&where);
	for (uint32_t i = 0; i < slots; i++) {
		device = (volatile uint8_t *)(base + i * stride);
		if (get(MAGIC) == MAGIC_VALUE && get(DEVICE_ID) == ID_BLOCK)
			return;
	}
	put('N');
	end(EXIT_FAILED);
}

/*
 * 3.1.1, in its order. Of the features VERSION_1, bit 32, and FLUSH where there is one, as every driver does: without
 * it each write is to be on the disk before it is done (5.2.5.2), and the host's disk would be what is measured.
 */
static void begin(void)
{
	set(STATUS, 0);
	set(STATUS, ACKNOWLEDGE);
	set(STATUS, ACKNOWLEDGE | DRIVER);
	set(DEVICE_FEATURES_SEL, 0);
	set(DRIVER_FEATURES_SEL, 0);
	set(DRIVER_FEATURES, get(DEVICE_FEATURES) & BLK_F_FLUSH);
	set(DRIVER_FEATURES_SEL, 1);
	set(DRIVER_FEATURES, 1);
	set(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	set(QUEUE_SEL, 0);
	if (!(get(STATUS) & FEATURES_OK) || get(QUEUE_NUM_MAX) < QUEUE_SIZE) {
		put('Q');
		end(EXIT_FAILED);
	}
	set(QUEUE_NUM, QUEUE_SIZE);
	set(QUEUE_DESC_LOW, (uint32_t)desc);
	set(QUEUE_DESC_LOW + 4, 0);
	set(QUEUE_AVAIL_LOW, (uint32_t)&avail);
	set(QUEUE_AVAIL_LOW + 4, 0);
	set(QUEUE_USED_LOW, (uint32_t)&used);
	set(QUEUE_USED_LOW + 4, 0);
	set(QUEUE_READY, 1);
	avail.flags = AVAIL_NO_INTERRUPT;
	set(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void prepare(uint32_t slot, uint32_t write, uint32_t bytes, uint32_t depth)
{
	struct desc *chain = &desc[slot * 3];
	uint8_t *buffer = data + (bytes * depth <= sizeof data ? slot * bytes : 0);
	requests[slot].type = write;
	chain[0] = (struct desc){(uint32_t)&requests[slot], sizeof requests[slot], DESC_NEXT, slot * 3 + 1};
	chain[1] = (struct desc){(uint32_t)buffer, bytes, DESC_NEXT | (write ? 0 : DESC_WRITE), slot * 3 + 2};
	chain[2] = (struct desc){(uint32_t)&statuses[slot], 1, DESC_WRITE, 0};
}

static uint32_t random(void)
{
	static uint32_t state = 2463534242u;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Of requests, since the guest began. */
static uint32_t next, isNumbered;

static uint32_t place(uint32_t slot, uint32_t isRandom, uint32_t bytes, uint32_t places)
{
	uint32_t number = next++;
	if (isNumbered)
		for (uint32_t at = 0; at < bytes; at += 512)
			*(uint32_t *)(data + slot * bytes + at) = number + 1;
	return (isRandom ? random() : number) % places;
}

/* A header and a status, with nothing else under way. */
static void flush(void)
{
	uint16_t seen = used.idx;
	requests[0].type = BLK_T_FLUSH;
	requests[0].sector = 0;
	desc[0].next = 2;
	avail.ring[avail.idx % QUEUE_SIZE] = 0;
	__asm__ volatile("" : : : "memory");
	avail.idx++;
	__sync_synchronize();
	set(QUEUE_NOTIFY, 0);
	while (used.idx == seen)
		__asm__ volatile("pause");
	if (statuses[0] != 0) {
		put('F');
		end(EXIT_FAILED);
	}
}

static void run(const char *line)
{
	const char *text;
	uint32_t write = option(line, "op=")[0] == 'w', isRandom = option(line, "step=")[0] == 'r';
	uint32_t bytes = (text = option(line, "bytes="), number(&text));
	uint32_t depth = (text = option(line, "depth="), number(&text));
	uint32_t count = (text = option(line, "count="), number(&text));
	uint32_t warm = (text = optional(line, "warm=")) ? number(&text) : 0, hasSaid = 0;
	uint32_t sectors = bytes / 512, places = get(CAPACITY) / sectors, sent = 0, done = 0;
	uint16_t seen = used.idx;
	if (bytes > MAX_BYTES || depth > MAX_DEPTH || places == 0)
		end(EXIT_FAILED);
	for (uint32_t i = 0; i < depth; i++)
		prepare(i, write, bytes, depth);
	while (done < count) {
		if (!hasSaid && done >= warm) {
			put('S');
			hasSaid = 1;
		}
		uint32_t free = sent < depth ? sent : 0;
		uint16_t before = avail.idx;
		if (sent < depth) {
			for (; sent < depth && sent < count; sent++, free++) {
				requests[free].sector = (uint64_t)place(free, isRandom, bytes, places) * sectors;
				avail.ring[(uint16_t)(before + free) % QUEUE_SIZE] = free * 3;
			}
			__asm__ volatile("" : : : "memory");
			avail.idx = before + free;
		} else {
			uint16_t idx = before;
			for (; seen != used.idx; seen++, done++) {
				uint32_t slot = used.ring[seen % QUEUE_SIZE].id / 3;
				if (statuses[slot] != 0) {
					put('E');
					end(EXIT_FAILED);
				}
				if (sent >= count)
					continue;
				requests[slot].sector = (uint64_t)place(slot, isRandom, bytes, places) * sectors;
				avail.ring[idx++ % QUEUE_SIZE] = slot * 3;
				sent++;
			}
			__asm__ volatile("" : : : "memory");
			avail.idx = idx;
		}
		__sync_synchronize();
		if (avail.idx != before && !(used.flags & USED_NO_NOTIFY))
			set(QUEUE_NOTIFY, 0);
		else
			__asm__ volatile("pause");
	}
	if (isNumbered)
		flush();
	put('D');
}

#define MARK 0xa5
#define PAGE 4096

/* 2.4.2: once the status reads 0 the device uses no memory of ours. As Linux's driver over MMIO does, no loop. */
static void reset(uint32_t bytes, uint32_t depth)
{
	for (uint32_t i = 0; i < depth; i++) {
		prepare(i, 0, bytes, depth);
		requests[i].sector = 0;
		avail.ring[i] = i * 3;
	}
	__sync_synchronize();
	avail.idx = depth;
	set(QUEUE_NOTIFY, 0);
	set(STATUS, 0);
	uint32_t isDone = get(STATUS) == 0;
	uint16_t idx = used.idx;
	volatile uint8_t *bytesRead = data;
	for (uint32_t at = 0; at < sizeof data; at += PAGE)
		bytesRead[at] = MARK;
	for (uint32_t i = 0; i < 500; i++)
		isDone &= get(STATUS) == 0;
	for (uint32_t at = 0; at < sizeof data; at += PAGE)
		isDone &= bytesRead[at] == MARK;
	if (!isDone || used.idx != idx) {
		put('X');
		end(EXIT_FAILED);
	}
	put('R');
	avail.idx = 0;
	used.idx = 0;
	begin();
}

static void resets(const char *line)
{
	const char *text;
	uint32_t bytes = (text = option(line, "bytes="), number(&text));
	uint32_t depth = (text = option(line, "depth="), number(&text));
	uint32_t count = (text = optional(line, "resets=")) ? number(&text) : 0;
	while (count--)
		reset(bytes, depth);
}

/* Multiboot information: flags, then the command line's address at offset 16. */
__attribute__((used)) static void main(const uint32_t *information)
{
	const char *line = (const char *)information[4];
	find(option(line, "scan="));
	begin();
	resets(line);
	const char *text = optional(line, "rounds=");
	uint32_t rounds = text ? number(&text) : 1;
	isNumbered = text != 0;
	while (rounds--)
		run(line);
	end(EXIT_OK);
}

__asm__(".global start\n"
	"start:\n"
	"	mov $stack + 8192, %esp\n"
	"	push %ebx\n"
	"	call main\n");
