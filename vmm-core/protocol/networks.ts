/**
 * The network interfaces of a VM, watched and changed while the guest runs. `network` is the name of one:
 * `net0`, as `networks/list` has them.
 */
import { RequestType, RequestType0 } from 'vscode-jsonrpc';
import type { ForwardConfig } from '../config/settings/forwards.ts';
import type { Decoded } from './devices.ts';

export interface NetworkSummary {
  readonly name: string;
  /** What it is wired to: `user`, `tap` … */
  readonly kind: string;
  /** The guest's Ethernet address. */
  readonly lladdr: string;
  readonly isUp: boolean;
  /** The file that its frames are written to now. */
  readonly capture?: string;
}

export const listNetworks = new RequestType0<readonly NetworkSummary[], void>('networks/list');

/** Pulls the cable, or puts it back; the guest is told. */
export const setNetworkLink = new RequestType<
  { readonly network: string; readonly isUp: boolean },
  void,
  void
>('networks/setLink');

export interface CaptureParams {
  readonly network: string;
  /** Absolute. A pcapng file; one that is there is replaced. */
  readonly path: string;
  /** Of each frame; absent: all. */
  readonly snapBytes?: number;
  /** Begins another file after so many bytes, and keeps the last `files`. */
  readonly rotateBytes?: number;
  readonly files?: number;
  /** Into the file's header. */
  readonly comment?: string;
}

/** Resolves once the file is there. One at a time. */
export const startNetworkCapture = new RequestType<CaptureParams, void, void>('networks/startCapture');

export interface CaptureResult {
  readonly frames: number;
  /** The file could not keep up. */
  readonly dropped: number;
  readonly paths: readonly string[];
}

/** Resolves once all is written. */
export const stopNetworkCapture = new RequestType<{ readonly network: string }, CaptureResult, void>(
  'networks/stopCapture',
);

export interface ForwardParams {
  readonly network: string;
  /** A unix socket's path is absolute. */
  readonly forward: ForwardConfig;
}

/** Of a network of kind `user`. Resolves once the port listens. */
export const addNetworkForward = new RequestType<ForwardParams, void, void>('networks/addForward');

/** Connections that are there stay. */
export const removeNetworkForward = new RequestType<ForwardParams, void, void>('networks/removeForward');

/** Counters, addresses, tables and connections, for people. */
export const reportNetwork = new RequestType<{ readonly network: string }, Decoded, void>('networks/report');
