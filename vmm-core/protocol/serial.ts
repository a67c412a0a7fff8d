/** The serial ports of a VM: what the guest prints, and the keys it is sent. */
import { NotificationType, RequestType } from 'vscode-jsonrpc';
import type { Bytes } from './codec.ts';

/** Bytes between a UART and a client. `port` is 0 for COM1. */
export interface SerialData {
  readonly port: number;
  readonly data: Bytes;
  /** From the guest: how many bytes before `data` were lost because the client did not read fast enough. */
  readonly droppedBytes?: number;
}

/** From the guest, to clients that asked with `serialAttach`. */
export const serialOutput = new NotificationType<SerialData>('serial/output');
/** To the guest: typed keys. */
export const serialInput = new NotificationType<SerialData>('serial/input');
/** The size of the terminal at a port, whenever that changes. A UART's guest cannot be told. */
export interface SerialSize {
  readonly port: number;
  readonly columns: number;
  readonly rows: number;
}
export const serialResize = new NotificationType<SerialSize>('serial/resize');
/** Starts serialOutput for a port; the result is the output so far (bounded, last 64 KiB). */
export const serialAttach = new RequestType<{ readonly port: number }, { readonly backlog: Bytes }, void>(
  'serial/attach',
);
