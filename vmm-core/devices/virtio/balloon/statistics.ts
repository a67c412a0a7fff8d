/** The statistics of a guest's memory, as its driver writes them (virtio 1.2 §5.5.6.3). */
import * as abi from '../../../abi/virtioBalloon.ts';
import { VirtioBalloonStat } from '../../../abi/virtioBalloon.ts';

/** Of a driver that repeats itself. Linux has ten, later versions sixteen. */
export const MAX_STATISTICS_BYTES = 64 * VirtioBalloonStat.size;

/** By tag, as they are called here. Memory is in bytes. */
const NAMES: Readonly<Record<number, string>> = {
  [abi.VIRTIO_BALLOON_S_SWAP_IN]: 'swapIn',
  [abi.VIRTIO_BALLOON_S_SWAP_OUT]: 'swapOut',
  [abi.VIRTIO_BALLOON_S_MAJFLT]: 'majorFaults',
  [abi.VIRTIO_BALLOON_S_MINFLT]: 'minorFaults',
  [abi.VIRTIO_BALLOON_S_MEMFREE]: 'freeMemory',
  [abi.VIRTIO_BALLOON_S_MEMTOT]: 'totalMemory',
  [abi.VIRTIO_BALLOON_S_AVAIL]: 'availableMemory',
  [abi.VIRTIO_BALLOON_S_CACHES]: 'diskCaches',
  [abi.VIRTIO_BALLOON_S_HTLB_PGALLOC]: 'hugePagesAllocated',
  [abi.VIRTIO_BALLOON_S_HTLB_PGFAIL]: 'hugePagesFailed',
};

export type Statistics = Readonly<Record<string, number>>;

/** What is not known is left out, and so is what is cut off at the end. */
export function readStatistics(bytes: Uint8Array): Statistics {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Record<string, number> = {};
  for (let at = 0; at + VirtioBalloonStat.size <= bytes.length; at += VirtioBalloonStat.size) {
    const { tag, val } = VirtioBalloonStat.read(view, at);
    const name = NAMES[tag];
    if (name !== undefined) found[name] = Number(val);
  }
  return found;
}
