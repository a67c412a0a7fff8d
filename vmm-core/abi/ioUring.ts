/**
 * The io_uring API, spelled as <linux/io_uring.h> spells it; io_uring_setup(2), io_uring_enter(2). Values
 * only; test/abi compares them with the header.
 */
import { struct, u32, u64 } from './struct.ts';

/** <asm/unistd_64.h> */
export const SYS_io_uring_setup = 425;
export const SYS_io_uring_enter = 426;

export const IoUringParams = struct('io_uring_params', 120, {
  sq_entries: u32(0),
  cq_entries: u32(4),
  flags: u32(8),
  features: u32(20),
  sq_off_head: u32(40),
  sq_off_tail: u32(44),
  sq_off_ring_mask: u32(48),
  sq_off_ring_entries: u32(52),
  sq_off_flags: u32(56),
  sq_off_array: u32(64),
  sq_off_user_addr: u64(72),
  cq_off_head: u32(80),
  cq_off_tail: u32(84),
  cq_off_ring_mask: u32(88),
  cq_off_ring_entries: u32(92),
  cq_off_cqes: u32(100),
  cq_off_user_addr: u64(112),
});

export const IoUringGeteventsArg = struct('io_uring_getevents_arg', 24, {
  sigmask: u64(0),
  sigmask_sz: u32(8),
  ts: u64(16),
});

export const KernelTimespec = struct('__kernel_timespec', 16, { tv_sec: u64(0), tv_nsec: u64(8) });

/** struct io_uring_sqe: offsets, for rings that are written by hand. */
export const IO_URING_SQE = {
  opcode: 0,
  fd: 4,
  off: 8,
  addr: 16,
  len: 24,
  rw_flags: 28,
  user_data: 32,
} as const;
export const IO_URING_SQE_BYTES = 64;

/** struct io_uring_cqe */
export const IO_URING_CQE = { user_data: 0, res: 8, flags: 12 } as const;
export const IO_URING_CQE_BYTES = 16;

export const IORING_SETUP_CQSIZE = 1 << 3;
export const IORING_SETUP_SUBMIT_ALL = 1 << 7;
export const IORING_SETUP_SINGLE_ISSUER = 1 << 12;
export const IORING_SETUP_DEFER_TASKRUN = 1 << 13;
export const IORING_SETUP_NO_MMAP = 1 << 14;

/** enum io_uring_op */
export const IORING_OP = {
  NOP: 0,
  READV: 1,
  WRITEV: 2,
  FSYNC: 3,
  POLL_ADD: 6,
  POLL_REMOVE: 7,
  READ: 22,
  WRITE: 23,
} as const;

export const IORING_FSYNC_DATASYNC = 1 << 0;
export const IORING_POLL_ADD_MULTI = 1 << 0;
export const IORING_CQE_F_MORE = 1 << 1;

/** mmap(2) offsets. */
export const IORING_OFF_SQ_RING = 0;
export const IORING_OFF_SQES = 0x1000_0000;

export const IORING_ENTER_GETEVENTS = 1 << 0;
export const IORING_ENTER_EXT_ARG = 1 << 3;

export const IORING_FEAT_SINGLE_MMAP = 1 << 0;
export const IORING_FEAT_NODROP = 1 << 1;
export const IORING_FEAT_EXT_ARG = 1 << 8;
