/** What the device of a shared folder is to every thread: an instance, and its registers. */
import { VIRTIO_9P_CONFIG_TAG } from '../../../abi/ninep.ts';
import { u32 } from '../../../bus/stateBlock.ts';
import type { ShareConfig } from '../../../config/settings/shares.ts';
import type { VirtioInstance } from '../virtioClass.ts';
import { virtioState } from '../virtioState.ts';

export const MAX_TAG_BYTES = 32;

export interface NinepInstance extends VirtioInstance {
  readonly name: string;
  readonly tag: string;
  readonly share: ShareConfig;
}

export const NINEP_STATE = {
  ...virtioState(1, VIRTIO_9P_CONFIG_TAG + MAX_TAG_BYTES),
  // From here on the service's, for the inspector. Bytes in two halves.
  msize: u32,
  messages: u32,
  errors: u32,
  readLow: u32,
  readHigh: u32,
  writtenLow: u32,
  writtenHigh: u32,
  fids: u32,
  openFiles: u32,
  places: u32,
};
export type NinepState = typeof NINEP_STATE;
