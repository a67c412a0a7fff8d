/** The output of one serial port to one client: as much as the client reads. Main thread. */
import { log } from '../log.ts';
import type { SerialPort } from '../backends/serial/serialPort.ts';
import type { SerialReader } from './client.ts';

/**
 * Limit on bytes the client has not read: further output is dropped, and the client told how much. A guest
 * does not wait for one client of many.
 */
export const MAX_UNREAD_OUTPUT = 1024 * 1024;

/** Returns the output so far, and a function that ends the feed. */
export function feedSerial(
  reader: SerialReader,
  port: number,
  serial: SerialPort,
): { readonly backlog: Uint8Array; readonly detach: () => void } {
  let droppedBytes = 0;
  const send = (data: Uint8Array): void => {
    const dropped = droppedBytes === 0 ? {} : { droppedBytes };
    droppedBytes = 0;
    reader.onSerialOutput({ port, data, ...dropped });
  };
  const listener = (bytes: Uint8Array): void => {
    if (droppedBytes === 0 && reader.unreadBytes <= MAX_UNREAD_OUTPUT) return send(bytes);
    if (droppedBytes === 0) void reader.drained().then(tell);
    droppedBytes += bytes.length;
  };
  const tell = (): void => {
    if (droppedBytes === 0) return;
    const values = { client: reader.name, port, bytes: droppedBytes };
    log.guest('control', 'serial output dropped: a client did not read it', values);
    send(new Uint8Array());
  };
  const detach = (): void => {
    serial.detach(listener);
    droppedBytes = 0; // gone: not told
  };
  return { backlog: serial.attach(listener), detach };
}
