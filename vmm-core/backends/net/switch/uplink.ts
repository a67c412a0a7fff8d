/**
 * The uplink of a switch, in the member that holds it: the frames of a tap, which it reads for all members
 * and writes for all, and a ring in which those for its own guest wait, so that a guest without room keeps
 * nobody else from the host's network. On the I/O thread.
 */
import { TUN_F_USO4, TUN_F_USO6 } from '../../../abi/tun.ts';
import { frameRingBytes, FrameReader, FrameWriter } from '../../../bus/frameRing.ts';
import type { MessageIo } from '../../../bus/messageIo.ts';
import { setTapOffloads } from '../../../kvm/net/tun.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import type { GuestFrame } from '../netLink.ts';
import { OFFLOAD_HEADER_BYTES } from '../offloadHeader.ts';
import { MAX_RECORD_BYTES } from './greeting.ts';
import { type HeldUplink, releaseUplink } from './holdUplink.ts';

const INBOX_BYTES = 2 ** 20;

export class Uplink {
  readonly #held: HeldUplink;
  /** For the guest, in its turn. */
  readonly inbox: FrameReader;
  readonly #inboxWriter: FrameWriter;
  readonly #in = new IoBuffer(MAX_RECORD_BYTES + 1);
  readonly #out = new IoBuffer(MAX_RECORD_BYTES);
  /** An edge was told, and not all is taken. */
  isReadable = true;
  framesIn = 0;
  framesOut = 0;

  constructor(held: HeldUplink) {
    this.#held = held;
    const memory = new IoBuffer(frameRingBytes(INBOX_BYTES)).bytes;
    this.inbox = new FrameReader(memory, MAX_RECORD_BYTES);
    this.#inboxWriter = new FrameWriter(memory);
    // Whoever's driver takes less has its frames cut for it (SoftwareOffload), which UDP is not.
    setTapOffloads(this.fd, held.tap.offloads & ~(TUN_F_USO4 | TUN_F_USO6));
  }

  get fd(): number {
    return this.#held.tap.fds[0] ?? -1;
  }

  get name(): string {
    return this.#held.tap.name;
  }

  /** Where `receive` puts a header and a frame. */
  get record(): Uint8Array {
    return this.#in.bytes;
  }

  /** The next frame: the record's bytes, or -errno. One that was cut has more bytes than any may have. */
  receive(message: MessageIo): number {
    message.clear();
    message.addBuffer(this.#in, 0, this.#in.bytes.length);
    const result = message.readv(this.fd);
    if (result > 0) this.framesIn++;
    return result;
  }

  /** Of its guest. 0 or more, or -errno. */
  send(message: MessageIo, header: Uint8Array, frame: GuestFrame): number {
    this.#out.bytes.set(header);
    message.clear();
    message.addBuffer(this.#out, 0, OFFLOAD_HEADER_BYTES);
    frame.addTo(message, 0, frame.lengthBytes);
    return this.#write(message);
  }

  /** Of another member, whose record it may still change: `head` is what was checked of it. */
  forward(message: MessageIo, record: Uint8Array, head: Uint8Array): number {
    this.#out.bytes.set(record);
    this.#out.bytes.set(head);
    message.clear();
    message.addBuffer(this.#out, 0, record.length);
    return this.#write(message);
  }

  /** False: too many wait already. */
  keep(record: Uint8Array): boolean {
    const room = this.#inboxWriter.reserve(record.length);
    if (room === undefined) return false;
    room.set(record);
    this.#inboxWriter.publish(record.length);
    return true;
  }

  close(): void {
    releaseUplink(this.#held);
  }

  #write(message: MessageIo): number {
    const result = message.writev(this.fd);
    if (result >= 0) this.framesOut++;
    return result;
  }
}
