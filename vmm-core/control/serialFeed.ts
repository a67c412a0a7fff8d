/** What one serial port says to one client: as much as the client reads. Main thread. */
import { log } from '../log.ts';
import type { SerialPort } from '../machine/serialPort.ts';
import { serialOutput } from '../protocol/serial.ts';
import type { Client } from './core.ts';

/** Unread by the client: what comes then is dropped, and the client told how much. A guest does not wait for one of many. */
export const MAX_UNREAD_OUTPUT = 1024 * 1024;

/** Returns the output so far, and what ends the feed. */
export function feedSerial(
  client: Client,
  port: number,
  serial: SerialPort,
): { readonly backlog: Uint8Array; readonly detach: () => void } {
  const { connection } = client;
  let droppedBytes = 0;
  const send = (data: Uint8Array): void => {
    const dropped = droppedBytes === 0 ? {} : { droppedBytes };
    droppedBytes = 0;
    void connection.sendNotification(serialOutput, { port, data, ...dropped });
  };
  const listener = (bytes: Uint8Array): void => {
    if (droppedBytes === 0 && connection.unreadBytes <= MAX_UNREAD_OUTPUT) return send(bytes);
    if (droppedBytes === 0) void connection.drained().then(tell);
    droppedBytes += bytes.length;
  };
  const tell = (): void => {
    if (droppedBytes === 0) return;
    const values = { client: client.identity.client, port, bytes: droppedBytes };
    log.guest('control', 'serial output dropped: a client did not read it', values);
    send(new Uint8Array());
  };
  return { backlog: serial.attach(listener), detach: () => serial.detach(listener) };
}
