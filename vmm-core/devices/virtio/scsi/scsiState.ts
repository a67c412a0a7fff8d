/** What a SCSI host with a CD-ROM drive is to every thread: an instance, and its registers. */
import { VirtioScsiConfig } from '../../../abi/virtioScsi.ts';
import { u32 } from '../../../bus/stateBlock.ts';
import type { OpenedImage } from '../../../backends/disk/openImage.ts';
import type { VirtioInstance } from '../virtioClass.ts';
import { virtioState } from '../virtioState.ts';

// §5.6.2.
export const CONTROLQ = 0;
export const EVENTQ = 1;
export const REQUESTQ = 2;
export const QUEUES = 3;
export const QUEUE_SIZE = 128;

export interface ScsiInstance extends VirtioInstance {
  readonly name: string;
  readonly path: string;
}

export const SCSI_STATE = {
  ...virtioState(QUEUES, VirtioScsiConfig.size),
  // From here on the service's, for the inspector.
  blocks: u32,
  isEjected: u32,
  isLocked: u32,
  commands: u32,
  failures: u32,
  kibRead: u32,
};
export type ScsiState = typeof SCSI_STATE;

/** From main to the I/O thread: plain data. */
export interface ScsiMedium {
  readonly opened: OpenedImage;
  readonly path: string;
}

/** From main. Answered by its `id`. */
export interface ScsiCommand {
  readonly id: number;
  readonly medium: ScsiMedium;
}

/** To main. Sentences are for the user. */
export type ScsiNews =
  { readonly kind: 'changed'; readonly id: number } | { readonly kind: 'trouble'; readonly message: string };
