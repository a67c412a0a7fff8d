/** Requests of protocol/serial.ts: the serial ports. */
import { serialAttach, serialInput } from '../../protocol/serial.ts';
import type { SerialReader } from '../client.ts';
import type { Session } from '../session.ts';
import { bytes, fields, integer } from './decode.ts';
import type { RequestTable } from './table.ts';

/** `reader` is the connection's own end. */
export function serveSerial(on: RequestTable, session: Session, reader: SerialReader): void {
  on.request(serialAttach, portParams, ({ port }) => ({ backlog: session.attachSerial(port, reader) }));
  on.notification(serialInput, inputParams, ({ port, data }) => session.type(port, data));
}

export function portParams(params: unknown): { readonly port: number } {
  return { port: integer(fields(params), 'port') };
}

function inputParams(params: unknown): { readonly port: number; readonly data: Uint8Array } {
  return { ...portParams(params), data: bytes(fields(params), 'data') };
}
