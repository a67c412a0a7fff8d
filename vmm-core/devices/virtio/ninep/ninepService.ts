/**
 * Serves a shared folder on its I/O thread: a chain has a message that the device reads, and room for its
 * answer. Each is answered before the next is taken, so nothing is ever under way: the host's file system may
 * hold up this thread, and no other. What is long of files goes straight between them and the guest's memory
 * (measured: copies took two thirds of a message of 500 KB).
 */
import { constants } from 'node:os';
import { P9_HDRSZ, P9_READ_HEADER, P9_TREAD, P9_TWRITE, P9_WRITE_HEADER } from '../../../abi/ninep.ts';
import { MAX_MSIZE, type MessageData } from '../../../backends/share/ninep/session.ts';
import { NinepServer } from '../../../backends/share/ninep/server.ts';
import { closeShare, type OpenedShare } from '../../../backends/share/openShare.ts';
import { type FileTransfer, openTransfer } from '../../../backends/share/openTransfer.ts';
import { ChainCursor } from '../blk/chainCursor.ts';
import { DescriptorChain } from '../descriptorChain.ts';
import type { VirtQueue } from '../queue.ts';
import type { VirtioPort, VirtioService } from '../virtioClass.ts';
import type { NinepInstance, NinepState } from './ninepState.ts';

// One go.
const MESSAGES_AT_ONCE = 32;
const BYTES_AT_ONCE = 4 * MAX_MSIZE;
const { EFAULT } = constants.errno;
/** Messages up to so long are copied whole: less than it takes to tell the kernel where they are. */
const COPIED_BYTES = 2048;
const U32 = 2 ** 32;

export class NinepService implements VirtioService, MessageData {
  readonly #port: VirtioPort<NinepState>;
  readonly #share: OpenedShare;
  readonly #server: NinepServer;
  readonly #chain = new DescriptorChain();
  readonly #cursor: ChainCursor;
  readonly #transfer: FileTransfer;

  constructor(_: NinepInstance, port: VirtioPort<NinepState>) {
    this.#port = port;
    this.#share = port.opened as OpenedShare; // NinepBackend.opened
    this.#server = new NinepServer(this.#share);
    this.#cursor = new ChainCursor(this.#chain, port.memory);
    this.#transfer = openTransfer(port.memory);
  }

  onKick(index: number): boolean {
    const queue = this.#port.queue(index);
    let messages = 0;
    let bytes = 0;
    while (messages < MESSAGES_AT_ONCE && bytes < BYTES_AT_ONCE && queue.pop(this.#chain)) {
      const moved = this.#serve(queue);
      if (moved < 0) return false;
      bytes += moved;
      messages++;
    }
    if (messages > 0) this.#count();
    this.#port.notifyUsed(queue);
    return messages === MESSAGES_AT_ONCE || bytes >= BYTES_AT_ONCE;
  }

  reset(): void {
    this.#server.reset();
    this.#count();
  }

  close(): void {
    this.#server.reset();
    closeShare(this.#share);
  }

  /** How many bytes it has moved; -1: the driver broke a rule. */
  #serve(queue: VirtQueue): number {
    const { readableBytes, writableBytes, head } = this.#chain;
    if (readableBytes < P9_HDRSZ) return this.#fail('a message shorter than its header');
    if (writableBytes < P9_READ_HEADER) return this.#fail('a message without room for an error');
    const length = Math.min(readableBytes, MAX_MSIZE);
    const isDirect = this.#readRequest(length);
    const answerBytes = this.#server.serve(length, writableBytes, isDirect ? this : undefined);
    const copiedBytes = isDirect ? Math.min(answerBytes, P9_READ_HEADER) : answerBytes;
    this.#cursor.toWritable();
    this.#cursor.copyIn(this.#server.answer.subarray(0, copiedBytes));
    queue.push(head, answerBytes);
    return length + answerBytes;
  }

  /** True: it moves a file's data, which is left where it is. The header is read once. */
  #readRequest(length: number): boolean {
    const { request } = this.#server;
    const headerBytes = Math.min(length, P9_WRITE_HEADER);
    this.#cursor.toReadable(0);
    this.#cursor.copyOut(request.subarray(0, headerBytes));
    const { type } = this.#server;
    if (type === P9_TWRITE && length > COPIED_BYTES) return true;
    this.#cursor.copyOut(request.subarray(headerBytes, length));
    return type === P9_TREAD && this.#chain.writableBytes > COPIED_BYTES;
  }

  /** See MessageData. */
  read(fd: number, offset: number, count: number): number {
    this.#cursor.toWritable();
    this.#cursor.skip(P9_READ_HEADER);
    return this.#add(count) ? this.#transfer.read(fd, offset) : -EFAULT;
  }

  /** See MessageData. */
  write(fd: number, offset: number, count: number): number {
    this.#cursor.toReadable(P9_WRITE_HEADER);
    return this.#add(count) ? this.#transfer.write(fd, offset) : -EFAULT;
  }

  #add(count: number): boolean {
    this.#transfer.iovecs.clear(0);
    return this.#cursor.addTo(this.#transfer.iovecs, 0, count);
  }

  /** The device has no section in the specification. */
  #fail(rule: string): number {
    this.#port.fail(`9P: ${rule}`);
    return -1;
  }

  #count(): void {
    const { messages, errors, session } = this.#server;
    const { state } = this.#port;
    const { regs } = state;
    regs.msize = session.msize;
    regs.messages = messages;
    regs.errors = errors;
    regs.readLow = session.readBytes;
    regs.readHigh = Math.floor(session.readBytes / U32);
    regs.writtenLow = session.writtenBytes;
    regs.writtenHigh = Math.floor(session.writtenBytes / U32);
    regs.fids = session.fids;
    regs.openFiles = session.openFiles;
    regs.places = session.tree.places;
  }
}
