/**
 * The sending end of an output ring, for devices the guest prints through (UART, debugcon). Runs on the vCPU
 * thread. When the host falls behind, the guest is held back until it reads again: nothing is lost. A vCPU
 * that shall stop does not wait for that (ByteRing.hurried): the rest of its instruction goes into a reserve,
 * and what does not fit there is dropped.
 */
import type { ByteRing } from '../bus/byteRing.ts';
import { log } from '../log.ts';
import type { DeviceHost } from './device.ts';

/** To the main thread's side: an output ring has something. */
export const OUTPUT_EVENT = 'output';

/**
 * The part of a ring that is kept for vCPUs in a hurry: a port access exits with at most a page, and several
 * vCPUs may print.
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

  /**
   * With the device's lock held: it makes the producers one. False: full. Then pushLater(), for which the
   * lock is released: the main thread needs it for input, and does not drain meanwhile.
   */
  push(byte: number): boolean {
    const { ring, onOutput } = this.#options;
    if (!ring.push(byte, this.#reserve)) return false;
    this.#stalled = false;
    if (ring.takeWakeup()) onOutput();
    return true;
  }

  /**
   * Waits for room until `push`, which takes the lock, says that it found some. False: the byte is given up.
   */
  pushLater(push: () => boolean): boolean {
    while (this.waitForSpace()) if (push()) return true;
    return false;
  }

  /** Without the device's lock. False: give the byte up. */
  waitForSpace(): boolean {
    if (!this.#stalled && this.#options.ring.waitForSpace(this.#waitMs, this.#reserve)) return true;
    this.#stalled = this.#waitMs !== Infinity;
    log.guest(this.#options.name, 'output dropped: the host does not read it');
    return false;
  }
}
