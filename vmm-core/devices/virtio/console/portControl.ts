/**
 * The control queues of a console with several ports (virtio 1.2 §5.3.6.2). What the device has to say of a
 * port is a set of messages, not a list: a driver that asks again and again fills nothing. Main thread.
 */
import {
  VIRTIO_CONSOLE_CONSOLE_PORT,
  VIRTIO_CONSOLE_DEVICE_READY,
  VIRTIO_CONSOLE_PORT_ADD,
  VIRTIO_CONSOLE_PORT_NAME,
  VIRTIO_CONSOLE_PORT_OPEN,
  VIRTIO_CONSOLE_PORT_READY,
  VIRTIO_CONSOLE_RESIZE,
  VirtioConsoleControl,
} from '../../../abi/virtioConsole.ts';
import { log } from '../../../log.ts';
import { gpa } from '../../../memory/guestMemory.ts';
import { ChainReader } from '../chainReader.ts';
import { DescriptorChain } from '../descriptorChain.ts';
import type { VirtioPort } from '../virtioClass.ts';
import { CONTROL_RECEIVEQ, CONTROL_TRANSMITQ, type ConsoleState } from './consoleState.ts';

const MESSAGES_AT_ONCE = 32;

/** What a port has to be told of, in the order in which it is. */
const TOLD = [
  VIRTIO_CONSOLE_PORT_ADD,
  VIRTIO_CONSOLE_CONSOLE_PORT,
  VIRTIO_CONSOLE_PORT_NAME,
  VIRTIO_CONSOLE_PORT_OPEN,
  VIRTIO_CONSOLE_RESIZE,
] as const;
type Told = (typeof TOLD)[number];

/** One of the ports that the driver hears of. */
export interface ControlledPort {
  readonly id: number;
  readonly name: string;
  readonly isConsole: boolean;
  /** The driver has opened it, or closed it. */
  readonly onOpen: (isOpen: boolean) => void;
}

interface PortNews {
  readonly port: ControlledPort;
  /** What it has yet to be told of. */
  readonly pending: Set<Told>;
  isReady: boolean;
  size: { readonly columns: number; readonly rows: number } | undefined;
}

export class PortControl {
  readonly #virtio: VirtioPort<ConsoleState>;
  readonly #ports: readonly PortNews[];
  readonly #chain = new DescriptorChain();
  readonly #reader: ChainReader;
  readonly #message = new Uint8Array(VirtioConsoleControl.size);

  constructor(virtio: VirtioPort<ConsoleState>, ports: readonly ControlledPort[]) {
    this.#virtio = virtio;
    this.#reader = new ChainReader(this.#chain, virtio.memory);
    this.#ports = ports.map((port) => ({ port, pending: new Set(), isReady: false, size: undefined }));
  }

  /** The driver is told when it is ready for it. */
  resize(id: number, columns: number, rows: number): void {
    const it = this.#ports.find(({ port }) => port.id === id);
    if (it?.port.isConsole !== true) return;
    it.size = { columns, rows };
    if (!it.isReady) return;
    it.pending.add(VIRTIO_CONSOLE_RESIZE);
    if (this.tell()) this.#virtio.kick(CONTROL_RECEIVEQ);
  }

  /** The driver knows of no port any more. */
  reset(): void {
    for (const it of this.#ports) this.#forget(it);
  }

  /** To the driver, as far as it has buffers. True: there may be more. */
  tell(): boolean {
    const queue = this.#virtio.queue(CONTROL_RECEIVEQ);
    let left = MESSAGES_AT_ONCE;
    for (const it of this.#ports) {
      for (const event of TOLD) {
        if (!it.pending.has(event)) continue;
        const message = messageOf(event, it);
        while (left > 0 && it.pending.has(event) && queue.pop(this.#chain)) {
          left--;
          if (this.#write(message)) it.pending.delete(event);
        }
      }
    }
    this.#virtio.notifyUsed(queue);
    return left === 0;
  }

  /** From the driver. True: there may be more. */
  listen(): boolean {
    const queue = this.#virtio.queue(CONTROL_TRANSMITQ);
    let left = MESSAGES_AT_ONCE;
    while (left > 0 && queue.pop(this.#chain)) {
      left--;
      const isWhole = this.#read();
      queue.push(this.#chain.head, 0);
      if (isWhole) this.#obey();
      else
        log.guest(this.#virtio.name, 'a control message is too short', { bytes: this.#chain.readableBytes });
    }
    this.#virtio.notifyUsed(queue);
    if (this.tell()) this.#virtio.kick(CONTROL_RECEIVEQ);
    return left === 0;
  }

  #obey(): void {
    const { id, event, value } = VirtioConsoleControl.read(new DataView(this.#message.buffer));
    if (event === VIRTIO_CONSOLE_DEVICE_READY) return this.#begin(value === 1);
    const it = this.#ports.find(({ port }) => port.id === id);
    if (it === undefined) {
      log.guest(this.#virtio.name, 'a control message for a port that is not there', { id, event });
    } else if (event === VIRTIO_CONSOLE_PORT_READY) {
      this.#introduce(it, value === 1);
    } else if (event === VIRTIO_CONSOLE_PORT_OPEN) {
      it.port.onOpen(value === 1);
    } else {
      log.guest(this.#virtio.name, 'a control message that is not known', { id, event });
    }
  }

  #begin(isWilling: boolean): void {
    this.reset();
    if (isWilling) this.#ports.forEach(({ pending }) => pending.add(VIRTIO_CONSOLE_PORT_ADD));
    else log.guest(this.#virtio.name, 'the driver could not make the device ready');
  }

  #introduce(it: PortNews, isWilling: boolean): void {
    const { port, pending } = it;
    this.#forget(it);
    if (!isWilling)
      return log.guest(this.#virtio.name, 'the driver could not add a port', { name: port.name });
    it.isReady = true;
    if (port.isConsole) pending.add(VIRTIO_CONSOLE_CONSOLE_PORT);
    pending.add(VIRTIO_CONSOLE_PORT_NAME);
    pending.add(VIRTIO_CONSOLE_PORT_OPEN); // the host's side of it always is
    if (it.size !== undefined) pending.add(VIRTIO_CONSOLE_RESIZE);
  }

  #forget(it: PortNews): void {
    it.pending.clear();
    it.isReady = false;
    it.port.onOpen(false);
  }

  /** Into the chain that was popped, which goes back without it when it is too small. */
  #write(message: Uint8Array): boolean {
    const { head, readable, segments, gpa: address, length, writableBytes } = this.#chain;
    const fits = message.length <= writableBytes;
    let written = 0;
    for (let i = readable; fits && i < segments && written < message.length; i++) {
      const part = message.subarray(written, written + (length[i] ?? 0));
      this.#virtio.memory.write(gpa(address[i] ?? 0), part);
      written += part.length;
    }
    this.#virtio.queue(CONTROL_RECEIVEQ).push(head, written);
    return fits;
  }

  /** Copies the message's head from the chain that was popped. False: it is shorter. */
  #read(): boolean {
    this.#reader.begin();
    return this.#reader.read(this.#message) === this.#message.length;
  }
}

function messageOf(event: Told, { port, size }: PortNews): Uint8Array {
  const head = VirtioConsoleControl.bytes({ id: port.id, event, value: 1 });
  return Buffer.concat([head, payloadOf(event, port.name, size)]);
}

function payloadOf(event: Told, name: string, size: PortNews['size']): Uint8Array {
  if (event === VIRTIO_CONSOLE_PORT_NAME) return Buffer.from(name);
  if (event !== VIRTIO_CONSOLE_RESIZE) return new Uint8Array();
  const { columns, rows } = size ?? { columns: 0, rows: 0 };
  return new Uint8Array(Uint16Array.of(columns, rows).buffer); // as the specification has it
}
