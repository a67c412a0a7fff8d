/** The serial ports of FakeVmm: nobody prints anything; the sizes of their terminals are kept. */
import type { MessageConnection } from 'vscode-jsonrpc/node';
import { serialAttach, serialResize, type SerialSize } from '../../vmm-core/protocol/serial.ts';
import { Arrivals } from './deadline.ts';

export class FakeSerial {
  readonly sizes = new Arrivals<SerialSize>('the size of a terminal');

  serve(connection: MessageConnection): void {
    connection.onRequest(serialAttach, () => ({ backlog: new Uint8Array(0) }));
    connection.onNotification(serialResize, (it) => this.sizes.put(it));
  }
}
