/**
 * Makes an io_uring. Where its rings are: in memory of our own, by IORING_SETUP_NO_MMAP (Linux 6.5), or the
 * kernel's, which a runtime shows us if it takes foreign array buffers: Node does, Electron does not.
 */
import {
  IO_URING_CQE_BYTES,
  IO_URING_SQE_BYTES,
  IORING_FEAT_EXT_ARG,
  IORING_FEAT_NODROP,
  IORING_FEAT_SINGLE_MMAP,
  IORING_OFF_SQ_RING,
  IORING_OFF_SQES,
  IORING_SETUP_CQSIZE,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SUBMIT_ALL,
  IoUringParams,
} from '../../abi/ioUring.ts';
import { KvmError } from '../../errors.ts';
import { IoBuffer } from '../../memory/ioBuffer.ts';
import { ENOSYS } from '../errno.ts';
import { closeFd, hostAddress, mapFile } from '../libc.ts';
import { IoRing, type RingPlaces } from './ring.ts';
import { ioUringSetup } from './syscalls.ts';

export type RingMemory = 'own' | 'mapped';

/**
 * Completions may wait in twice as many. Before Linux 6.10 memory of our own must be contiguous for the
 * kernel: with the smaller number either ring is a single page.
 */
const ENTRIES = [256, 64] as const;
/** Enough for the rings of the larger number. */
const OWN_RINGS_BYTES = 0x10000;

/** Completions are made in io_uring_enter and nowhere else, which costs least: Linux 6.1. */
const DEFERRED = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
const SETUP_FLAGS: Readonly<Record<RingMemory, readonly number[]>> = {
  own: [IORING_SETUP_NO_MMAP | DEFERRED],
  mapped: [DEFERRED, 0],
};
/** Linux 5.11. */
const NEEDED_FEATURES = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_SINGLE_MMAP;

type Params = ReturnType<typeof IoUringParams.read>;

/** Throws KvmError when this kernel, or a rule of this host, does not let us. */
export function openRing(memory: RingMemory): IoRing {
  let errno = ENOSYS;
  for (const flags of SETUP_FLAGS[memory]) {
    for (const entries of ENTRIES) {
      const opened = tryRing(entries, flags);
      if (typeof opened !== 'number') return opened;
      errno = opened;
    }
  }
  throw new KvmError('io_uring_setup', errno);
}

/** Or an errno. */
function tryRing(entries: number, flags: number): IoRing | number {
  const own = (flags & IORING_SETUP_NO_MMAP) === 0 ? undefined : ownMemory(entries);
  const params = IoUringParams.bytes({
    cq_entries: 2 * entries,
    flags: flags | IORING_SETUP_CQSIZE,
    sq_off_user_addr: own === undefined ? 0n : hostAddress(own.sqes),
    cq_off_user_addr: own === undefined ? 0n : hostAddress(own.rings),
  });
  const fd = ioUringSetup(entries, params);
  if (fd < 0) return -fd;
  const told = IoUringParams.read(new DataView(params.buffer));
  if ((told.features & NEEDED_FEATURES) !== NEEDED_FEATURES) {
    closeFd(fd);
    return ENOSYS;
  }
  const { rings, sqes } = own ?? mappedMemory(fd, told);
  const words = new Int32Array(rings.buffer);
  // Entries are submitted in their order.
  for (let i = 0; i < told.sq_entries; i++) words[told.sq_off_array / 4 + i] = i;
  return new IoRing(fd, words, new Int32Array(sqes.buffer), placesOf(words, told));
}

interface Memory {
  readonly buffer: ArrayBufferLike;
}

function ownMemory(entries: number): { readonly rings: Memory; readonly sqes: Memory } {
  return {
    rings: new IoBuffer(OWN_RINGS_BYTES).memory,
    sqes: new IoBuffer(entries * IO_URING_SQE_BYTES).memory,
  };
}

function mappedMemory(fd: number, told: Params): { readonly rings: Memory; readonly sqes: Memory } {
  const ringsBytes = Math.max(
    told.sq_off_array + 4 * told.sq_entries,
    told.cq_off_cqes + IO_URING_CQE_BYTES * told.cq_entries,
  );
  return {
    rings: { buffer: mapFile(fd, ringsBytes, IORING_OFF_SQ_RING) },
    sqes: { buffer: mapFile(fd, told.sq_entries * IO_URING_SQE_BYTES, IORING_OFF_SQES) },
  };
}

function placesOf(words: Int32Array, told: Params): RingPlaces {
  return {
    sqHead: told.sq_off_head / 4,
    sqTail: told.sq_off_tail / 4,
    sqMask: words[told.sq_off_ring_mask / 4] ?? 0,
    cqHead: told.cq_off_head / 4,
    cqTail: told.cq_off_tail / 4,
    cqMask: words[told.cq_off_ring_mask / 4] ?? 0,
    cqes: told.cq_off_cqes / 4,
  };
}
