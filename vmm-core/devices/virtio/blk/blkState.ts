/** What a block device is to every thread: an instance, and its registers. */
import { VirtioBlkConfig } from '../../../abi/virtioBlk.ts';
import { bytes } from '../../../bus/stateBlock.ts';
import type { DiskConfig } from '../../../config/settings/diskOptions.ts';
import type { VirtioInstance } from '../virtioClass.ts';
import { virtioState } from '../virtioState.ts';

export const MAX_QUEUES = 4;

export interface BlkInstance extends VirtioInstance {
  readonly name: string;
  readonly disk: DiskConfig;
  readonly queues: number;
}

export const BLK_STATE = {
  ...virtioState(MAX_QUEUES, VirtioBlkConfig.size),
  medium: bytes(VirtioBlkConfig.size), // the configuration space at power-on, as the medium makes it
};
export type BlkState = typeof BLK_STATE;
