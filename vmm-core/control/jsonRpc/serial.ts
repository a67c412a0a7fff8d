/** Requests of protocol/serial.ts: the serial ports. */
import { serialAttach, serialInput, serialResize, type SerialSize } from '../../protocol/serial.ts';
import { UserError } from '../../errors.ts';
import type { SerialReader } from '../client.ts';
import type { Session } from '../session.ts';
import { bytes, fields, type Fields, integer } from './decode.ts';
import type { RequestTable } from './table.ts';

const MOST_CELLS = 0xffff;

/** `reader` is the connection's own end. */
export function serveSerial(on: RequestTable, session: Session, reader: SerialReader): void {
  on.request(serialAttach, portParams, ({ port }) => ({ backlog: session.attachSerial(port, reader) }));
  on.notification(serialInput, inputParams, ({ port, data }) => session.type(port, data));
  on.notification(serialResize, sizeParams, ({ port, columns, rows }) =>
    session.resizeSerial(port, columns, rows),
  );
}

export function portParams(params: unknown): { readonly port: number } {
  return { port: integer(fields(params), 'port') };
}

export function sizeParams(params: unknown): SerialSize {
  const it = fields(params);
  return { ...portParams(params), columns: lengthOf(it, 'columns'), rows: lengthOf(it, 'rows') };
}

/** As drivers know it: 16 bits. */
function lengthOf(it: Fields, key: string): number {
  const value = integer(it, key);
  if (value < 1 || value > MOST_CELLS) throw new UserError(`${key} must be 1 to ${MOST_CELLS}, not ${value}`);
  return value;
}

function inputParams(params: unknown): { readonly port: number; readonly data: Uint8Array } {
  return { ...portParams(params), data: bytes(fields(params), 'data') };
}
