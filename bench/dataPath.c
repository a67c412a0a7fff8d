/*
 * The two sides of a virtio block device's queue, without a guest, for bench/dataPath.ts: the driver, and a
 * device in C to measure ours against. They share a file as memory and have an eventfd in each direction, as
 * a guest and its VMM have ioeventfd and irqfd. EVENT_IDX and INDIRECT_DESC, as Linux's driver uses them.
 *
 *   dataPath driver MEMORY KICK CALL QD BYTES read|write SECONDS DISKBYTES    prints requests per second
 *   dataPath device MEMORY KICK CALL DISK                                    until it is killed
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The driver's memory map; dataPathDevice.ts has the rings' addresses, too. */
#define QUEUE_SIZE 256
#define DESC 0x10000
#define AVAIL 0x11000
#define USED 0x12000
#define TABLES 0x20000 /* of indirect descriptors, 64 bytes for each request */
#define HEADERS 0x40000
#define STATUSES 0x48000
#define DATA 0x100000

#define WARM_UP_S 0.3
#define RING_ENTRIES 256
#define OF_KICK (~0ull)

static char *memory;
static size_t memory_bytes;
static int kick_fd, call_fd;
static struct vring_desc *desc;
static struct vring_avail *avail;
static struct vring_used *used;
#define AVAIL_EVENT (*(_Atomic __u16 *)&used->ring[QUEUE_SIZE])
#define USED_EVENT (*(_Atomic __u16 *)&avail->ring[QUEUE_SIZE])
#define AVAIL_IDX (*(_Atomic __u16 *)&avail->idx)
#define USED_IDX (*(_Atomic __u16 *)&used->idx)

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void open_queue(char **argv)
{
	int fd = open(argv[2], O_RDWR);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		die(argv[2]);
	memory_bytes = st.st_size;
	memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	kick_fd = atoi(argv[3]);
	call_fd = atoi(argv[4]);
	desc = (void *)(memory + DESC);
	avail = (void *)(memory + AVAIL);
	used = (void *)(memory + USED);
}

static void signal_fd(int fd)
{
	__u64 one = 1;

	if (write(fd, &one, 8) != 8)
		die("eventfd");
}

/* The driver. */

static __u32 seed = 1;
static __u16 avail_idx;

static void submit(int i, size_t bytes, __u32 type, __u64 disk_bytes)
{
	struct virtio_blk_outhdr *header = (void *)(memory + HEADERS + i * 16);
	struct vring_desc *table = (void *)(memory + TABLES + i * 64);

	seed = seed * 1103515245 + 12345;
	header->type = type;
	header->sector = (seed >> 4) % (disk_bytes / bytes) * (bytes / 512);
	memory[STATUSES + i] = -1;
	table[0] = (struct vring_desc){ HEADERS + i * 16, 16, VRING_DESC_F_NEXT, 1 };
	table[1] = (struct vring_desc){ DATA + i * bytes, bytes,
		VRING_DESC_F_NEXT | (type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0), 2 };
	table[2] = (struct vring_desc){ STATUSES + i, 1, VRING_DESC_F_WRITE, 0 };
	desc[i] = (struct vring_desc){ TABLES + i * 64, 48, VRING_DESC_F_INDIRECT, 0 };
	avail->ring[avail_idx++ % QUEUE_SIZE] = i;
}

static void publish(__u16 from)
{
	atomic_store(&AVAIL_IDX, avail_idx);
	if (vring_need_event(atomic_load(&AVAIL_EVENT), avail_idx, from))
		signal_fd(kick_fd);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void drive(int qd, size_t bytes, __u32 type, double seconds, __u64 disk_bytes)
{
	double start = now(), measured = 0;
	__u16 last_used = 0;
	long done = 0;
	__u64 events;

	for (int i = 0; i < qd; i++)
		submit(i, bytes, type, disk_bytes);
	publish(0);
	for (;;) {
		__u16 from = avail_idx;

		atomic_store(&USED_EVENT, last_used);
		if (atomic_load(&USED_IDX) == last_used && read(call_fd, &events, 8) != 8)
			die("eventfd");
		while (last_used != atomic_load(&USED_IDX)) {
			__u32 i = used->ring[last_used++ % QUEUE_SIZE].id;

			if (memory[STATUSES + i] != VIRTIO_BLK_S_OK)
				exit(2);
			done++;
			submit(i, bytes, type, disk_bytes);
		}
		if (avail_idx != from)
			publish(from);
		double t = now();
		if (measured == 0 && t - start > WARM_UP_S) {
			measured = t;
			done = 0;
		} else if (measured != 0 && t - measured > seconds) {
			printf("%f\n", done / (t - measured));
			return;
		}
	}
}

/* The device. */

static int ring_fd, disk_fd;
static unsigned *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask, tail, pending;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static __u16 next_avail, next_used, considered_used;
static struct { __u32 bytes; char *status; } requests[QUEUE_SIZE];

static void open_ring(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
		IORING_SETUP_DEFER_TASKRUN };
	unsigned *array;
	char *ring;

	ring_fd = syscall(SYS_io_uring_setup, RING_ENTRIES, &p);
	if (ring_fd < 0)
		die("io_uring_setup");
	ring = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*cqes), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_POPULATE, ring_fd, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		ring_fd, IORING_OFF_SQES);
	sq_tail = (void *)(ring + p.sq_off.tail);
	sq_mask = *(unsigned *)(ring + p.sq_off.ring_mask);
	cq_head = (void *)(ring + p.cq_off.head);
	cq_tail = (void *)(ring + p.cq_off.tail);
	cq_mask = *(unsigned *)(ring + p.cq_off.ring_mask);
	cqes = (void *)(ring + p.cq_off.cqes);
	array = (void *)(ring + p.sq_off.array);
	for (unsigned i = 0; i <= sq_mask; i++)
		array[i] = i;
}

static struct io_uring_sqe *next_sqe(void)
{
	struct io_uring_sqe *sqe = &sqes[tail++ & sq_mask];

	memset(sqe, 0, sizeof(*sqe));
	pending++;
	return sqe;
}

static void watch_kicks(void)
{
	struct io_uring_sqe *sqe = next_sqe();

	sqe->opcode = IORING_OP_POLL_ADD;
	sqe->fd = kick_fd;
	sqe->len = IORING_POLL_ADD_MULTI;
	sqe->poll32_events = POLLIN;
	sqe->user_data = OF_KICK;
}

static char *at(__u64 address, __u64 bytes)
{
	if (address > memory_bytes || bytes > memory_bytes - address)
		exit(3);
	return memory + address;
}

static void finish(__u32 head, __u32 written, __u8 status)
{
	*requests[head].status = status;
	used->ring[next_used % QUEUE_SIZE] = (struct vring_used_elem){ head, written };
	atomic_store(&USED_IDX, ++next_used);
}

static void take(__u32 head)
{
	struct vring_desc d = desc[head % QUEUE_SIZE], table[3];
	struct virtio_blk_outhdr header;
	struct io_uring_sqe *sqe;

	if (d.flags != VRING_DESC_F_INDIRECT || d.len != sizeof(table))
		exit(4);
	memcpy(table, at(d.addr, d.len), sizeof(table));
	memcpy(&header, at(table[0].addr, sizeof(header)), sizeof(header));
	requests[head].status = at(table[2].addr, 1);
	requests[head].bytes = table[1].len;
	if (header.type == VIRTIO_BLK_T_OUT) { /* into the page cache nothing is faster */
		ssize_t n = pwrite(disk_fd, at(table[1].addr, table[1].len), table[1].len, header.sector * 512);

		return finish(head, 1, n == table[1].len ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
	}
	sqe = next_sqe();
	sqe->opcode = IORING_OP_READ;
	sqe->fd = disk_fd;
	sqe->off = header.sector * 512;
	sqe->addr = (unsigned long)at(table[1].addr, table[1].len);
	sqe->len = table[1].len;
	sqe->user_data = head;
}

static void take_available(void)
{
	for (;;) {
		while (next_avail != atomic_load(&AVAIL_IDX))
			take(avail->ring[next_avail++ % QUEUE_SIZE]);
		atomic_store(&AVAIL_EVENT, next_avail);
		if (next_avail == atomic_load(&AVAIL_IDX))
			return;
	}
}

static void serve(void)
{
	watch_kicks();
	for (;;) {
		unsigned head = *cq_head;
		int is_kicked = 0;

		atomic_store((_Atomic unsigned *)sq_tail, tail);
		syscall(SYS_io_uring_enter, ring_fd, pending, 1, IORING_ENTER_GETEVENTS, NULL, 0);
		pending = 0;
		for (; head != atomic_load((_Atomic unsigned *)cq_tail); head++) {
			struct io_uring_cqe *cqe = &cqes[head & cq_mask];

			if (cqe->user_data == OF_KICK) {
				is_kicked = 1;
				if (!(cqe->flags & IORING_CQE_F_MORE))
					watch_kicks();
			} else {
				int is_ok = cqe->res == (int)requests[cqe->user_data].bytes;

				finish(cqe->user_data, cqe->res + 1, is_ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
			}
		}
		atomic_store((_Atomic unsigned *)cq_head, head);
		if (is_kicked)
			take_available();
		if (next_used != considered_used) {
			if (vring_need_event(atomic_load(&USED_EVENT), next_used, considered_used))
				signal_fd(call_fd);
			considered_used = next_used;
		}
	}
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 1;
	open_queue(argv);
	if (!strcmp(argv[1], "driver")) {
		drive(atoi(argv[5]), atol(argv[6]), strcmp(argv[7], "write") ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
			atof(argv[8]), atoll(argv[9]));
		return 0;
	}
	disk_fd = open(argv[5], O_RDWR);
	if (disk_fd < 0)
		die(argv[5]);
	open_ring();
	serve();
}
