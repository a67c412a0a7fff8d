/**
 * Another member of the switch, as one member sees it: the socket by which they met, which tells when it
 * goes, and a ring each way. On the I/O thread.
 */
import { FrameReader, frameRingBytes, FrameWriter } from '../../../bus/frameRing.ts';
import type { MessageIo } from '../../../bus/messageIo.ts';
import { EAGAIN } from '../../../kvm/errno.ts';
import { closeFd, mapOver } from '../../../kvm/libc.ts';
import {
  createMemfd,
  fixedMemfdSize,
  type PeerCredentials,
  peerCredentials,
  receiveFds,
  sendFds,
} from '../../../kvm/net/fdPassing.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import { OFFLOAD_HEADER_BYTES } from '../offloadHeader.ts';
import { type Greeting, greetingBytes, MAX_RECORD_BYTES, readGreeting } from './greeting.ts';

/** Of frames that wait for the reader: 60 of the largest. */
const RING_BYTES = 4 * 2 ** 20;
/** A message that wakes; what is in it does not matter. */
const WAKE_BYTES = 1;
const WAKE = new IoBuffer(WAKE_BYTES);
/** That have not been looked at: a member wakes whoever sleeps, once, so there are two or three. */
const MAX_WAKES = 64;

export class SwitchPeer {
  readonly fd: number;
  /** We have connected, not accepted. */
  readonly isOurs: boolean;
  readonly #inboxFd: number;
  readonly #reader: FrameReader;
  #writer: FrameWriter | undefined;
  #greeting: Greeting | undefined;
  #credentials: PeerCredentials | undefined;
  /** It sleeps, and has been written to. */
  #isToBeWoken = false;
  framesIn = 0;
  framesOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** Its ring was full. */
  dropped = 0;

  private constructor(fd: number, isOurs: boolean, inboxFd: number) {
    this.fd = fd;
    this.isOurs = isOurs;
    this.#inboxFd = inboxFd;
    const memory = new IoBuffer(frameRingBytes(RING_BYTES));
    mapOver(memory.bytes, inboxFd);
    this.#reader = new FrameReader(memory.bytes, MAX_RECORD_BYTES);
  }

  /** On a connected socket, which it closes with itself. -errno: the host has no memory for it. */
  static meet(fd: number, isOurs: boolean): SwitchPeer | number {
    const inboxFd = createMemfd('trapframe-switch', frameRingBytes(RING_BYTES));
    return inboxFd < 0 ? inboxFd : new SwitchPeer(fd, isOurs, inboxFd);
  }

  /** Undefined: it has not greeted yet. */
  get greeting(): Greeting | undefined {
    return this.#greeting;
  }

  get reader(): FrameReader {
    return this.#reader;
  }

  get uid(): number {
    return this.#credentials?.uid ?? -1;
  }

  get pid(): number {
    return this.#credentials?.pid ?? -1;
  }

  /** 0 or -errno. */
  greet(greeting: Greeting): number {
    return Math.min(0, sendFds(this.fd, greetingBytes(greeting), [this.#inboxFd]));
  }

  /** Its greeting, perhaps, or it wakes us. A sentence: it is no member. 'gone': it has left. */
  hear(message: MessageIo): 'nothing' | 'greeted' | 'woken' | 'gone' | { readonly refused: string } {
    if (this.#greeting !== undefined) return this.#hearWakes(message);
    const passed = receiveFds(this.fd);
    if (typeof passed === 'number') return passed === -EAGAIN ? 'nothing' : 'gone';
    if (passed.bytes.length === 0) return 'gone';
    const refused = this.#meet(passed.bytes, passed.fds);
    if (refused === undefined) return 'greeted';
    for (const fd of passed.fds) closeFd(fd);
    return { refused };
  }

  /** Room for a frame with its header; undefined: it is not there yet, or its ring is full. */
  reserve(recordBytes: number): Uint8Array | undefined {
    return this.#writer?.reserve(recordBytes);
  }

  publish(recordBytes: number): void {
    if (this.#writer?.publish(recordBytes) === true) this.#isToBeWoken = true;
    this.framesOut++;
    this.bytesOut += recordBytes - OFFLOAD_HEADER_BYTES;
  }

  /**
   * By the socket, which never keeps us waiting, as an eventfd of the other could: whoever shares one may
   * fill it, and have writes to it wait. A socket that is full has wakes in it already.
   */
  wake(message: MessageIo): void {
    if (!this.#isToBeWoken) return;
    this.#isToBeWoken = false;
    message.clear();
    message.addBuffer(WAKE, 0, WAKE_BYTES);
    message.send(this.fd);
  }

  get isBroken(): boolean {
    return this.#reader.isBroken || this.#writer?.isBroken === true;
  }

  close(): void {
    for (const fd of [this.fd, this.#inboxFd]) if (fd >= 0) closeFd(fd);
  }

  /** All of them; descriptors that come with one are closed by the kernel, which has no room for them. */
  #hearWakes(message: MessageIo): 'woken' | 'gone' | { readonly refused: string } {
    for (let i = 0; i < MAX_WAKES; i++) {
      message.clear();
      message.addBuffer(WAKE, 0, WAKE_BYTES);
      const result = message.receive(this.fd);
      if (result === -EAGAIN) return 'woken';
      if (result <= 0) return 'gone';
    }
    return { refused: 'it wakes us without end' };
  }

  /** Undefined: it is a member. */
  #meet(bytes: Uint8Array, fds: readonly number[]): string | undefined {
    const greeting = readGreeting(bytes);
    if (typeof greeting === 'string') return greeting;
    const [outbox] = fds;
    if (outbox === undefined || fds.length !== 1) return 'its greeting came without memory';
    const sizeBytes = frameRingBytes(RING_BYTES);
    if (fixedMemfdSize(outbox) !== sizeBytes)
      return 'its memory is of another size, could be resized, or is not to be written';
    const memory = new IoBuffer(sizeBytes);
    mapOver(memory.bytes, outbox);
    closeFd(outbox); // the mapping stays
    this.#writer = new FrameWriter(memory.bytes);
    this.#greeting = greeting;
    const credentials = peerCredentials(this.fd);
    if (typeof credentials !== 'number') this.#credentials = credentials;
    return undefined;
  }
}
