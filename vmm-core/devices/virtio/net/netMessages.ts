/** What main and the I/O thread say to each other about a network interface. Plain data. */
import type { CaptureBatch, CaptureSettings } from '../../../backends/net/capture/capture.ts';
import type { LinkReport } from '../../../backends/net/netLink.ts';

/** From main. */
export type NetCommand =
  | { readonly kind: 'setUp'; readonly isUp: boolean }
  | { readonly kind: 'report'; readonly id: number }
  /** Undefined: the capture ends. */
  | { readonly kind: 'capture'; readonly settings: CaptureSettings | undefined }
  /** So many batches of it are written. */
  | { readonly kind: 'captured'; readonly batches: number }
  /** To the link, of its own kind (LinkHost.send). */
  | { readonly kind: 'link'; readonly message: unknown };

/** To main. Sentences are for the user. */
export type NetNews =
  | { readonly kind: 'report'; readonly id: number; readonly report: LinkReport }
  | { readonly kind: 'trouble'; readonly message: string }
  /** The last of a capture is undefined. */
  | { readonly kind: 'capture'; readonly batch: CaptureBatch | undefined }
  /** Of the link (GuestPort.tell). */
  | { readonly kind: 'link'; readonly message: unknown };
