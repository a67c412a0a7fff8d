/**
 * A port of a virtio console: to the host a serial line, to the driver two queues. The driver gives buffers
 * to fill with what is typed; what it sends is taken while the line's other end keeps up. Main thread.
 */
import type { SerialLine } from '../../../backends/backend.ts';
import { lossOf } from '../../../backends/serial/serialConsole.ts';
import { MAX_TYPED_BYTES } from '../../../backends/serial/serialInput.ts';
import { SerialPort } from '../../../backends/serial/serialPort.ts';
import type { SerialBackend } from '../../../config/serialBackend.ts';
import { log } from '../../../log.ts';
import { gpa } from '../../../memory/guestMemory.ts';
import { DescriptorChain } from '../descriptorChain.ts';
import type { VirtioPort } from '../virtioClass.ts';
import { type ConsoleState, receiveqOf, transmitqOf } from './consoleState.ts';

/** One go. A chain may be of 4 GiB: then it takes many. */
const BYTES_AT_ONCE = 64 * 1024;
const CHAINS_AT_ONCE = 32;
/** What the guest has sent is taken at its end, but not for ever. */
const LAST_GOES = 16;

export interface ConsolePortOptions {
  readonly virtio: VirtioPort<ConsoleState>;
  readonly id: number;
  /** For the log, and for users. */
  readonly title: string;
  readonly target: SerialBackend;
  /** The terminal at the other end has another size. */
  readonly onResize: (columns: number, rows: number) => void;
}

export class ConsolePort implements SerialLine {
  readonly port: SerialPort;
  /** Nothing is given to a driver that has not opened it: Linux would drop it. */
  isOpen = false;
  readonly #options: ConsolePortOptions;
  readonly #virtio: VirtioPort<ConsoleState>;
  readonly #receiveq: number;
  readonly #transmitq: number;
  /** Typed, and not given to the driver yet. */
  #waiting: Uint8Array = new Uint8Array();
  readonly #input = new DescriptorChain();
  readonly #output = new DescriptorChain();
  /** Of #output, which may take several goes: what comes next. */
  #isSending = false;
  #segment = 0;
  #offset = 0;

  /** Throws UserError when the target cannot be opened. */
  constructor(options: ConsolePortOptions) {
    const { virtio, id, title, target } = options;
    this.#options = options;
    this.#virtio = virtio;
    this.#receiveq = receiveqOf(id);
    this.#transmitq = transmitqOf(id);
    this.port = new SerialPort(target);
    this.port.onDrained = () => virtio.kick(this.#transmitq);
    this.port.onBroken = (error) => {
      const loss = lossOf(title, target, error);
      if (loss !== undefined) virtio.main?.onLost(loss);
    };
  }

  type(bytes: Uint8Array): boolean {
    if (this.#waiting.length + bytes.length > MAX_TYPED_BYTES) {
      log.guest(this.#options.title, 'input dropped: the guest does not read it', { bytes: bytes.length });
      return false;
    }
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    if (this.receive()) this.#virtio.kick(this.#receiveq);
    return true;
  }

  resize(columns: number, rows: number): void {
    this.#options.onResize(columns, rows);
  }

  open(): void {
    this.isOpen = true;
    this.#virtio.kick(this.#receiveq);
  }

  /** The driver has reset the transmit queue: what is left of a chain that is half sent is void (§2.6.1). */
  forgetChain(): void {
    this.#isSending = false;
  }

  /** The VM ends. */
  flush(): void {
    for (let go = 0; go < LAST_GOES && this.#send(); go++);
  }

  /** True: there may be more. A chain without room takes nothing, and a guest can offer those for ever. */
  receive(): boolean {
    if (!this.isOpen) return false;
    const queue = this.#virtio.queue(this.#receiveq);
    let chains = CHAINS_AT_ONCE;
    while (chains > 0 && this.#waiting.length > 0 && queue.pop(this.#input)) {
      queue.push(this.#input.head, this.#fill(this.#input));
      chains--;
    }
    this.#virtio.notifyUsed(queue);
    return chains === 0;
  }

  /** See receive. */
  transmit(): boolean {
    return !this.port.isBehind && this.#send();
  }

  /** Returns how many bytes of what was typed went there. */
  #fill({ readable, segments, gpa: address, length }: DescriptorChain): number {
    let written = 0;
    for (let i = readable; i < segments && this.#waiting.length > 0; i++) {
      const part = this.#waiting.subarray(0, length[i] ?? 0);
      this.#virtio.memory.write(gpa(address[i] ?? 0), part);
      this.#waiting = this.#waiting.subarray(part.length);
      written += part.length;
    }
    return written;
  }

  #send(): boolean {
    const queue = this.#virtio.queue(this.#transmitq);
    let left = BYTES_AT_ONCE;
    let chains = CHAINS_AT_ONCE;
    while (left > 0 && chains > 0) {
      if (!this.#isSending) {
        if (!queue.pop(this.#output)) break;
        this.#isSending = true;
        this.#segment = 0;
        this.#offset = 0;
      }
      left -= this.#sendPart(left);
      if (this.#segment < this.#output.readable) continue;
      this.#endChain();
      chains--;
    }
    this.#virtio.notifyUsed(queue);
    return left === 0 || chains === 0;
  }

  /** Of the present segment, at most `limit` bytes. */
  #sendPart(limit: number): number {
    const { readable, gpa: address, length } = this.#output;
    if (this.#segment >= readable) return 0;
    const size = Math.min((length[this.#segment] ?? 0) - this.#offset, limit);
    const bytes = this.#virtio.memory.slice(gpa((address[this.#segment] ?? 0) + this.#offset), size);
    this.port.write(bytes.slice()); // the guest may write over its own while it is on its way
    this.#offset += size;
    if (this.#offset >= (length[this.#segment] ?? 0)) {
      this.#segment++;
      this.#offset = 0;
    }
    return size;
  }

  #endChain(): void {
    this.#isSending = false;
    this.#virtio.queue(this.#transmitq).push(this.#output.head, 0);
  }
}
