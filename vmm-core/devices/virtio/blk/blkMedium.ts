/** What a block device is told to serve, and what main and its I/O thread say to each other about it. */
import type { OpenedImage } from '../../../backends/disk/openImage.ts';

/** From main to the I/O thread: plain data. */
export interface BlkMedium {
  readonly opened: OpenedImage;
  readonly path: string;
}

/** From main. Each is answered, by its `id`. */
export type BlkCommand =
  | { readonly kind: 'resize'; readonly id: number; readonly sizeBytes: number }
  | { readonly kind: 'change'; readonly id: number; readonly medium: BlkMedium };

/** To main. Sentences are for the user. */
export type BlkNews = BlkReply | { readonly kind: 'trouble'; readonly message: string };

export interface BlkReply {
  readonly kind: 'reply';
  readonly id: number;
  /** Undefined: it is done. Otherwise all is as before. */
  readonly error: string | undefined;
}
