/**
 * The device's side of a capture, on the I/O thread: frames become blocks of a pcapng file, and go to main
 * (captureFile.ts) in batches. What main cannot write as fast is dropped, and counted. Nothing is allocated
 * per frame but a view of the place it is copied to.
 */
import { PACKET_DATA, packetBytes, type PcapTime, writePacket } from './pcapng.ts';

/** From main, when a capture begins. Plain data. */
export interface CaptureSettings {
  /** Of each frame; 0: all. */
  readonly snapBytes: number;
}

/** To main. Plain data. */
export interface CaptureBatch {
  /** Whole blocks. */
  readonly bytes: Uint8Array;
  readonly frames: number;
  /** Since the last batch. */
  readonly dropped: number;
}

/** As GuestFrame. */
export interface CapturedFrame {
  readonly lengthBytes: number;
  /** Copies from byte `from` of the frame on; fills all of `into`. */
  copyTo(into: Uint8Array, from: number): void;
}

export interface CaptureHost {
  tell(batch: CaptureBatch): void;
  /** Has `onTimer` called after that time; more often does no harm. */
  arm(delayMs: number): void;
}

const BATCH_BYTES = 0x40000;
/** Batches that main has been told of and has not written. */
const MAX_WAITING = 16;
/** Whoever looks into the file meanwhile sees what is as old. */
const FLUSH_MS = 100;
const TWO_32 = 2 ** 32;
const NS_PER_MS = 1_000_000;

export class CaptureBuffer {
  readonly #host: CaptureHost;
  readonly #snapBytes: number;
  readonly #bytes = new Uint8Array(BATCH_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #clock = new CaptureClock();
  #usedBytes = 0;
  #frames = 0;
  #dropped = 0;
  #waiting = 0;

  constructor({ snapBytes }: CaptureSettings, host: CaptureHost) {
    this.#host = host;
    this.#snapBytes = snapBytes === 0 ? Infinity : snapBytes;
  }

  add(isFromGuest: boolean, frame: CapturedFrame): void {
    const capturedBytes = Math.min(frame.lengthBytes, this.#snapBytes);
    const blockBytes = packetBytes(capturedBytes);
    if (this.#usedBytes + blockBytes > BATCH_BYTES && !this.#flush()) {
      this.#dropped++;
      return;
    }
    if (this.#usedBytes === 0) this.#host.arm(FLUSH_MS);
    const at = this.#usedBytes;
    writePacket(this.#view, at, this.#clock.now(), isFromGuest, capturedBytes, frame.lengthBytes);
    frame.copyTo(this.#bytes.subarray(at + PACKET_DATA, at + PACKET_DATA + capturedBytes), 0);
    this.#usedBytes += blockBytes;
    this.#frames++;
  }

  onTimer(): void {
    this.#flush();
  }

  /** Main has written so many batches. */
  onWritten(batches: number): void {
    this.#waiting -= batches;
    if (this.#usedBytes > 0) this.#host.arm(0);
  }

  /** The capture ends: all that there is goes to main. */
  end(): void {
    this.#tell();
  }

  /** False: main is behind, and the batch stays. */
  #flush(): boolean {
    if (this.#waiting >= MAX_WAITING) return false;
    if (this.#usedBytes > 0) this.#tell();
    return true;
  }

  #tell(): void {
    this.#waiting++;
    const bytes = this.#bytes.slice(0, this.#usedBytes); // the rest of the buffer shall not go along
    this.#host.tell({ bytes, frames: this.#frames, dropped: this.#dropped });
    this.#usedBytes = 0;
    this.#frames = 0;
    this.#dropped = 0;
  }
}

/** Nanoseconds since 1970 that only go forward: the time of day when it began, and how long ago that was. */
export class CaptureClock {
  readonly #began = performance.now();
  readonly #time: PcapTime = { high: 0, low: 0 };
  readonly #baseHigh: number;
  readonly #baseLow: number;

  constructor() {
    const ns = BigInt(Date.now()) * BigInt(NS_PER_MS);
    this.#baseHigh = Number(ns >> 32n);
    this.#baseLow = Number(BigInt.asUintN(32, ns));
  }

  /** The same object each time. */
  now(): Readonly<PcapTime> {
    const low = this.#baseLow + Math.round((performance.now() - this.#began) * NS_PER_MS);
    this.#time.high = this.#baseHigh + Math.floor(low / TWO_32);
    this.#time.low = low % TWO_32;
    return this.#time;
  }
}
