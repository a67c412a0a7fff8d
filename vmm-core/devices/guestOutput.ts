/**
 * The sending end of an output ring, for devices the guest prints through (UART, debugcon). Runs on the vCPU
 * thread. When the host falls behind, the guest is held back until it reads again: nothing is lost. A vCPU
 * that shall stop does not wait for that (ByteRing.hurried): the rest of its instruction goes into a reserve,
 * and what does not fit there is dropped. A device waits before it takes its lock and pushes with it: the
 * main thread needs the lock for input, and does not drain meanwhile.
 */
import type { ByteRing } from '../bus/byteRing.ts';
import { log } from '../log.ts';
import type { DeviceHost } from './device.ts';

/** To the main thread's side: an output ring has something. */
export const OUTPUT_EVENT = 'output';

/**
 * The part of a ring that is kept for vCPUs in a hurry (a port access exits with at most a page, and several
 * vCPUs may print), and for those that saw the last free byte together.
 */
const RESERVED = 1 / 4;

export interface GuestOutputOptions {
  /** The log tag. */
  readonly name: string;
  readonly ring: ByteRing;
  /** Wakes the consumer: called once per drain(), on the producing thread. */
  readonly onOutput: () => void;
  /**
   * Default: for ever. 0 on the main thread, which reads the ring itself: it may not wait and uses the
   * reserve. Other values drop what finds no room in that time.
   */
  readonly waitMs?: number;
}

/** The end of one of a device's rings. */
export function outputTo(
  ring: ByteRing,
  host: Pick<DeviceHost, 'name' | 'notify' | 'outputWaitMs'>,
): GuestOutput {
  const { name, outputWaitMs } = host;
  const wait = outputWaitMs === undefined ? {} : { waitMs: outputWaitMs };
  return new GuestOutput({ name, ring, onOutput: () => host.notify(OUTPUT_EVENT), ...wait });
}

export class GuestOutput {
  readonly #options: GuestOutputOptions;
  readonly #waitMs: number;
  readonly #reserve: number;
  #stalled = false;

  constructor(options: GuestOutputOptions) {
    this.#options = options;
    this.#waitMs = options.waitMs ?? Infinity;
    this.#reserve = options.waitMs === undefined ? options.ring.capacity * RESERVED : 0;
  }

  get hasSpace(): boolean {
    return this.#options.ring.hasSpace(this.#reserve);
  }

  /** Without the device's lock, before a push. False: the byte will be dropped. */
  waitForSpace(): boolean {
    if (this.hasSpace) return true;
    if (!this.#stalled && this.#options.ring.waitForSpace(this.#waitMs, this.#reserve)) return true;
    this.#stalled = this.#waitMs !== Infinity;
    log.guest(this.#options.name, 'output dropped: the host does not read it');
    return false;
  }

  /** With the device's lock held: it makes the producers one. False: dropped. */
  push(byte: number): boolean {
    const { ring, onOutput } = this.#options;
    if (!ring.push(byte)) return false;
    this.#stalled = false;
    if (ring.takeWakeup()) onOutput();
    return true;
  }
}
