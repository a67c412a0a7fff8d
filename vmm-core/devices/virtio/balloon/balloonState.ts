/** What a memory balloon is to every thread: its registers, its configuration space, its queues. */
import { VIRTIO_BALLOON_PFN_SHIFT, VirtioBalloonConfig } from '../../../abi/virtioBalloon.ts';
import { u32 } from '../../../bus/stateBlock.ts';
import type { Decoded } from '../../../protocol/devices.ts';
import { virtioState } from '../virtioState.ts';

// §5.5.2.
export const INFLATEQ = 0;
export const DEFLATEQ = 1;
export const STATSQ = 2;
/**
 * Reports of free pages come by queue 4, and by 3 from drivers that count only the queues they use, as
 * Linux's do: free_page_vq, which 3 is, we do not offer.
 */
export const REPORTINGQS: readonly number[] = [3, 4];

export const QUEUE_SIZES = [128, 128, 16, 64, 64] as const;

export const PAGE_BYTES = 1 << VIRTIO_BALLOON_PFN_SHIFT;

export const BALLOON_STATE = {
  ...virtioState(QUEUE_SIZES.length, VirtioBalloonConfig.size),
  targetPages: u32, // num_pages, which a reset keeps
  givenPages: u32, // to the host, through the balloon; wraps
  reportedPages: u32, // likewise, as free pages
  refusedPages: u32, // numbers that are none of RAM's
};
export type BalloonState = typeof BALLOON_STATE;

const { num_pages, actual } = VirtioBalloonConfig.fields;

export function setTargetPages(config: Uint8Array, pages: number): void {
  VirtioBalloonConfig.write(viewOf(config), { num_pages: pages });
}

export function actualPages(config: Uint8Array): number {
  return VirtioBalloonConfig.read(viewOf(config)).actual;
}

/** `actual` is all that a driver may write; by the legacy interface it does so byte by byte. */
export function writeConfig(config: Uint8Array, offset: number, sizeBytes: number, value: number): void {
  if (offset < actual.offset || offset + sizeBytes > actual.offset + actual.lengthBytes) return;
  for (let i = 0; i < sizeBytes; i++) config[offset + i] = value / 256 ** i;
}

/** For the inspector, by the names of the header. */
export function decodeConfig(config: Uint8Array): Decoded {
  const view = viewOf(config.slice());
  return {
    num_pages: view.getUint32(num_pages.offset, true),
    actual: view.getUint32(actual.offset, true),
  };
}

function viewOf(config: Uint8Array): DataView {
  return new DataView(config.buffer, config.byteOffset, config.byteLength);
}
