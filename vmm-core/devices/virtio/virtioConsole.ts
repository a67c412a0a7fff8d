/**
 * The virtio console (virtio 1.2 §5.3) with one port: hvc0 to Linux, one more serial line to the host. The
 * driver gives buffers to fill with what is typed; what it sends is taken while the line's other end keeps
 * up. Main thread.
 */
import { VIRTIO_ID_CONSOLE } from '../../abi/virtioIds.ts';
import type { SerialLine } from '../../backends/backend.ts';
import { lossOf } from '../../backends/serial/serialConsole.ts';
import { MAX_TYPED_BYTES } from '../../backends/serial/serialInput.ts';
import { SerialPort } from '../../backends/serial/serialPort.ts';
import { type SerialBackend, serialTitle, VIRTIO_CONSOLE } from '../../config/serialBackend.ts';
import type { VmConfig } from '../../config/vmConfig.ts';
import { log } from '../../log.ts';
import { gpa } from '../../memory/guestMemory.ts';
import { DescriptorChain } from './descriptorChain.ts';
import type { VirtioClass, VirtioInstance, VirtioPort, VirtioService } from './virtioClass.ts';
import { virtioDevice } from './virtioDevice.ts';
import { virtioState } from './virtioState.ts';

// §5.3.2: the port's queues.
const RECEIVEQ = 0;
const TRANSMITQ = 1;
const QUEUE_SIZE = 64;
/** A communication controller that is no other. */
const CLASS_CODE = 0x07_80_00;
/** One go. A chain may be of 4 GiB: then it takes many. */
const BYTES_AT_ONCE = 64 * 1024;
const CHAINS_AT_ONCE = 32;
/** What the guest has sent is taken at its end, but not for ever. */
const LAST_GOES = 16;

const STATE = virtioState(2, 0);
type State = typeof STATE;

interface ConsoleInstance extends VirtioInstance {
  readonly target: SerialBackend;
}

const consoleClass: VirtioClass<ConsoleInstance, State> = {
  id: 'virtio-console',
  deviceType: VIRTIO_ID_CONSOLE,
  classCode: CLASS_CODE,
  state: STATE,
  instances: ({ serial, virtio }: VmConfig) => {
    const target = serial[VIRTIO_CONSOLE];
    return target === undefined ? [] : [{ transport: virtio ?? 'pci', target }];
  },
  nameOf: () => serialTitle(VIRTIO_CONSOLE),
  features: () => [],
  queueSizes: () => [QUEUE_SIZE, QUEUE_SIZE],
  serve: ({ target }, port) => new ConsoleService(target, port),
};

export const virtioConsole = virtioDevice(consoleClass);

class ConsoleService implements VirtioService, SerialLine {
  readonly port: SerialPort;
  readonly #virtio: VirtioPort<State>;
  /** Typed, and not given to the driver yet. */
  #waiting: Uint8Array = new Uint8Array();
  readonly #input = new DescriptorChain();
  readonly #output = new DescriptorChain();
  /** Of #output, which may take several goes: what comes next. */
  #isSending = false;
  #segment = 0;
  #offset = 0;

  /** Throws UserError when the target cannot be opened. */
  constructor(target: SerialBackend, virtio: VirtioPort<State>) {
    this.#virtio = virtio;
    this.port = new SerialPort(target);
    this.port.onDrained = () => virtio.kick(TRANSMITQ);
    this.port.onBroken = (error) => {
      const loss = lossOf(virtio.name, target, error);
      if (loss !== undefined) virtio.main?.onLost(loss);
    };
  }

  get serial(): SerialLine {
    return this;
  }

  type(bytes: Uint8Array): boolean {
    if (this.#waiting.length + bytes.length > MAX_TYPED_BYTES) {
      log.guest(this.#virtio.name, 'input dropped: the guest does not read it', { bytes: bytes.length });
      return false;
    }
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    if (this.#receive()) this.#virtio.kick(RECEIVEQ);
    return true;
  }

  onKick(queue: number): boolean {
    return queue === RECEIVEQ ? this.#receive() : !this.port.isBehind && this.#send();
  }

  /** The queues may be gone after it: a chain that is half sent ends here. */
  pause(): void {
    if (this.#isSending) this.#endChain();
  }

  flush(): void {
    for (let go = 0; go < LAST_GOES && this.#send(); go++);
  }

  close(): void {
    this.port.close();
  }

  /** True: there may be more. A chain without room takes nothing, and a guest can offer those for ever. */
  #receive(): boolean {
    const queue = this.#virtio.queue(RECEIVEQ);
    let chains = CHAINS_AT_ONCE;
    while (chains > 0 && this.#waiting.length > 0 && queue.pop(this.#input)) {
      const { readable, segments, gpa: address, length, head } = this.#input;
      let written = 0;
      for (let i = readable; i < segments && this.#waiting.length > 0; i++) {
        const part = this.#waiting.subarray(0, length[i] ?? 0);
        this.#virtio.memory.write(gpa(address[i] ?? 0), part);
        this.#waiting = this.#waiting.subarray(part.length);
        written += part.length;
      }
      queue.push(head, written);
      chains--;
    }
    this.#virtio.notifyUsed(queue);
    return chains === 0;
  }

  /** True: there may be more. */
  #send(): boolean {
    const queue = this.#virtio.queue(TRANSMITQ);
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
    this.#virtio.queue(TRANSMITQ).push(this.#output.head, 0);
  }
}
