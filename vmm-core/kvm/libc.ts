/**
 * The few libc calls vmm-core needs, through koffi. Host addresses stay in this folder: the rest of the code
 * holds typed arrays. Loaded once per thread (main and each vCPU worker).
 */
import { constants } from 'node:os';
import { koffi, libcCall, resultOf } from './koffi.ts';
import { KvmError } from '../errors.ts';

// ioctl and syscall are variadic in C; the x86-64 ABI passes integer and pointer arguments alike.
const ioctlValue = libcCall('int ioctl(int fd, unsigned long request, unsigned long value)');
const ioctlBuffer = libcCall('int ioctl(int fd, unsigned long request, void *buffer)');
const libcMmap = libcCall(
  'uintptr_t mmap(uintptr_t addr, size_t length, int prot, int flags, int fd, int64_t offset)',
);
const libcMadvise = libcCall('int madvise(uintptr_t addr, size_t length, int advice)');
const libcSyscall = libcCall('long syscall(long number, long a, long b, long c)');
// fcntl and flock: file flags and locks that node:fs does not offer. fcntl is variadic, see above.
const libcFcntl = libcCall('int fcntl(int fd, int command, long value)');
const libcFlock = libcCall('int flock(int fd, int operation)');
const libcEventfd = libcCall('int eventfd(unsigned int initval, int flags)');
const libcWrite = libcCall('long write(int fd, void *buffer, size_t count)');
const libcClose = libcCall('int close(int fd)');
const libcSetitimer = libcCall('int setitimer(int which, void *value, void *old)');
const libcMallocTrim = libcCall('int malloc_trim(size_t pad)');
const libcMallopt = libcCall('int mallopt(int param, int value)');
const libcGetpid = libcCall('int getpid()');
const libcExit = libcCall('void _exit(int status)') as (status: number) => never;

const M_ARENA_MAX = -8; // <malloc.h>
const PROT_READ_WRITE = 1 | 2;
const MAP_SHARED = 0x01;
const MAP_FIXED = 0x10;
const MADV_DONTNEED = 4; // <asm-generic/mman-common.h>
const MADV_HUGEPAGE = 14;
const SYS_gettid = 186; // <asm/unistd_64.h>
const SYS_tgkill = 234;

export const F_GETFL = 3; // <asm-generic/fcntl.h>
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const LOCK_EX = 2;
const LOCK_NB = 4;

const EFD_CLOEXEC = 0o2000000; // <sys/eventfd.h>
const EFD_NONBLOCK = 0o4000;
const EVENT_BYTES = 8;

const ITIMER_REAL = 0; // <sys/time.h>

/**
 * Interrupts the main thread's KVM_RUN every `ms` (0: no more), by a signal that also wakes node's event
 * loop. Safety: the kernel reads the struct (struct itimerval: two struct timeval of two longs) during the
 * call only.
 */
export function interruptEvery(ms: number): void {
  if (process.listenerCount('SIGALRM') === 0) process.on('SIGALRM', () => undefined);
  const interval = [Math.floor(ms / 1000), (ms % 1000) * 1000].map(BigInt);
  libcSetitimer(ITIMER_REAL, BigInt64Array.from([...interval, ...interval]), null);
}

/** Writes to `fd` fail with EAGAIN instead of waiting, for all who share it. Does nothing if it is closed. */
export function setNonBlocking(fd: number): void {
  const flags = resultOf(libcFcntl(fd, F_GETFL, 0));
  if (flags >= 0) libcFcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/** Undoes it: io_uring would give up where a file is not in the page cache. */
export function setBlocking(fd: number): void {
  const flags = resultOf(libcFcntl(fd, F_GETFL, 0));
  if (flags >= 0) libcFcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/**
 * Takes an advisory lock on an open file; closing it, or the end of the process, releases it. False: another
 * process has it.
 */
export function tryLock(fd: number): boolean {
  return libcFlock(fd, LOCK_EX | LOCK_NB) === 0;
}

/** A new eventfd. How often it was written tells nothing, only that it was. */
export function createEventFd(): number {
  const fd = resultOf(libcEventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (fd < 0) throw new KvmError('eventfd', -fd);
  return fd;
}

const ONE_EVENT = BigUint64Array.of(1n);

/**
 * Any thread. Safety: the kernel reads the eight bytes during the call. It fails only (EAGAIN) where nobody
 * has read 2^64 - 2 events: then the reader wakes as well.
 */
export function signalEventFd(fd: number): void {
  libcWrite(fd, ONE_EVENT, EVENT_BYTES);
}

/**
 * An ioctl whose argument is a number. Returns the result, or -errno.
 * Safety: passes no pointer; blocks the calling thread for KVM_RUN only.
 */
export function ioctl(fd: number, request: number, value: number | bigint = 0): number {
  return resultOf(ioctlValue(fd, request, value));
}

/** As `ioctl`, for calls that must succeed. Throws KvmError named `call`. */
export function mustIoctl(call: string, fd: number, request: number, value: number | bigint = 0): number {
  const result = ioctl(fd, request, value);
  if (result < 0) throw new KvmError(call, -result);
  return result;
}

/**
 * An ioctl whose argument is a struct the kernel reads or writes. Throws KvmError.
 * Safety: koffi pins the buffer for the call; the kernel keeps no pointer to it; its size is the struct's.
 */
export function ioctlStruct(call: string, fd: number, request: number, buffer: ArrayBufferView): number {
  const result = tryIoctlStruct(fd, request, buffer);
  if (result < 0) throw new KvmError(call, -result);
  return result;
}

/** As `ioctlStruct`, for calls that may fail. Returns the result, or -errno. */
export function tryIoctlStruct(fd: number, request: number, buffer: ArrayBufferView): number {
  return resultOf(ioctlBuffer(fd, request, buffer));
}

/**
 * Maps `fd` over these whole pages of a wasm memory: they then show the file's to every thread. Safety: the
 * memory outlives the mapping because the caller keeps it as long as the fd.
 */
export function mapOver(bytes: Uint8Array, fd: number): void {
  const address = addressOf(bytes);
  const mapped = BigInt(libcMmap(address, bytes.length, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
  if (mapped !== address) throw new KvmError('mmap', koffi.errno());
}

/**
 * Maps a part of `fd` and shows it as an array buffer. Throws where the runtime takes no foreign memory, as
 * Electron. Safety: it is never unmapped, so that the buffer stays valid; for few and small mappings.
 */
export function mapFile(fd: number, lengthBytes: number, offset: number): ArrayBuffer {
  const address = BigInt(libcMmap(0, lengthBytes, PROT_READ_WRITE, MAP_SHARED, fd, offset));
  if (BigInt.asIntN(64, address) === -1n) throw new KvmError('mmap', koffi.errno());
  return koffi.view(address, lengthBytes);
}

/**
 * Threads that start from now on share one heap of malloc: one of its own would keep what their start took,
 * and they allocate next to nothing once they run.
 */
export function shareHeap(): void {
  libcMallopt(M_ARENA_MAX, 1);
}

/**
 * Gives back what malloc of all threads holds and nobody uses: JavaScript engines take more to start than
 * they keep.
 */
export function trimHeaps(): void {
  libcMallocTrim(0);
}

export function closeFd(fd: number): void {
  libcClose(fd);
}

/**
 * Gives whole pages of shared memory back to the host: they read as zero again. Safety: no I/O is in flight
 * into it.
 */
export function discard(bytes: Uint8Array): void {
  const result = resultOf(libcMadvise(addressOf(bytes), bytes.length, MADV_DONTNEED));
  if (result < 0) throw new KvmError('madvise', -result);
}

/** Asks for pages as large as possible: fewer faults, fewer misses in the TLB. Not every kernel has them. */
export function preferHugePages(bytes: Uint8Array): void {
  libcMadvise(addressOf(bytes), bytes.length, MADV_HUGEPAGE);
}

/**
 * Only for this folder: KVM needs the address of guest RAM. The buffer is shared memory, which never moves.
 */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(koffi.address(bytes));
}

/** See addressOf. */
export function hostAddress(memory: { readonly buffer: ArrayBufferLike }): bigint {
  return addressOf(new Uint8Array(memory.buffer));
}

/** Kernel id of the calling thread, for kick(). */
export function currentThreadId(): number {
  return resultOf(libcSyscall(SYS_gettid, 0, 0, 0));
}

/** Its handler does nothing (vcpuWorker.ts): it only has to interrupt KVM_RUN. */
export const KICK_SIGNAL = constants.signals.SIGUSR2;

/** Ends the process and all its threads, wherever they are: exit_group(2). */
export function exitNow(status: number): never {
  return libcExit(status);
}

/**
 * Interrupts a thread's KVM_RUN. The process must have a handler for `signal` (process.on). The thread may
 * be gone.
 */
export function signalThread(threadId: number, signal: number): void {
  libcSyscall(SYS_tgkill, libcGetpid(), threadId, signal);
}
