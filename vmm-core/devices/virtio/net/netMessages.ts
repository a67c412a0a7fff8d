/** What main and the I/O thread say to each other about a network interface. Plain data. */
import type { LinkReport } from '../../../backends/net/netLink.ts';

/** From main. */
export type NetCommand =
  | { readonly kind: 'setUp'; readonly isUp: boolean }
  | { readonly kind: 'report'; readonly id: number }
  /** To the link, of its own kind (LinkHost.send). */
  | { readonly kind: 'link'; readonly message: unknown };

/** To main. Sentences are for the user. */
export type NetNews =
  | { readonly kind: 'report'; readonly id: number; readonly report: LinkReport }
  | { readonly kind: 'trouble'; readonly message: string }
  /** Of the link (GuestPort.tell). */
  | { readonly kind: 'link'; readonly message: unknown };
