/**
 * A link over a stream socket, framed as QEMU does it: to another QEMU, to passt, to whatever program speaks
 * it. It comes and goes as the program does: the guest sees its link go down and up. On the I/O thread.
 */
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../../abi/epoll.ts';
import { IPPROTO_TCP, TCP_NODELAY } from '../../../abi/inet.ts';
import { SOCK_STREAM } from '../../../abi/socket.ts';
import { addressText, type SocketAddress } from '../../../bus/socketAddress.ts';
import { errnoText } from '../../../errors.ts';
import { EAGAIN, EINPROGRESS, ENOBUFS, ENOMEM } from '../../../kvm/errno.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { connectSocket, FAMILIES, openSocket, pendingError, setOption } from '../../../kvm/net/sockets.ts';
import { type GuestFrame, type GuestPort, type LinkReport, type NetLink } from '../netLink.ts';
import { noOffload } from '../offloadHeader.ts';
import { FrameReader, NO_FRAME, NOT_YET } from './frameReader.ts';
import { FrameSender, SENT } from './frameSender.ts';

/** From main; plain data. */
export type StreamOpened =
  | { readonly address: SocketAddress }
  /** A connection that main has made, with what it calls the program; others follow as StreamMessage. */
  | { readonly fd: number; readonly program: string };

/** From main: the program was started again. */
export interface StreamMessage {
  readonly fd: number;
}

/** Each wait is twice the last. */
const FIRST_DELAY_MS = 250;
const LAST_DELAY_MS = 4000;
/** A connection that lasted so long begins anew with the short wait, and its end is told again. */
const LASTING_MS = 4000;
/** That one turn takes: others want theirs. */
const TURN_FRAMES = 256;
const TURN_READS = 4;

/** A host that has no memory for a message is asked again after that. */
const NO_MEMORY_MS = 10;

const EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
const ENDS = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
const NO_FD = -1;
const NO_OFFLOAD = noOffload();

type State = 'down' | 'connecting' | 'up';

/** `opened`: as `open` of openStream.ts or openPasst.ts made it. */
export function attach(opened: unknown, port: GuestPort): NetLink {
  return new StreamLink(opened as StreamOpened, port);
}

export class StreamLink implements NetLink {
  readonly #port: GuestPort;
  readonly #opened: StreamOpened;
  readonly #reader = new FrameReader();
  readonly #sender: FrameSender;
  #state: State = 'down';
  #fd = NO_FD;
  /** A tag a connection. */
  #connections = 0;
  #isReadable = false;
  /** When it connects again; Infinity: not by itself. */
  #dueMs = Infinity;
  #delayMs = FIRST_DELAY_MS;
  #upSinceMs = 0;
  #isTold = false;

  constructor(opened: StreamOpened, port: GuestPort) {
    this.#opened = opened;
    this.#port = port;
    this.#sender = new FrameSender(port.message);
    if ('fd' in opened) this.#take(opened.fd);
    else this.#connect(opened.address);
    if (this.#state !== 'up') port.setCarrier(false);
  }

  send(frame: GuestFrame): void {
    if (this.#state !== 'up') return this.#port.drop('linkDown');
    const sent = this.#sender.send(this.#fd, frame);
    if (sent === SENT.noRoom) this.#port.drop('hostBusy');
    else if (sent === SENT.noConnection) this.#end();
  }

  onSent(): void {
    if (this.#state !== 'up') return;
    if (!this.#sender.flush(this.#fd)) this.#end();
    else if (this.#sender.isStuck) this.#port.arm(NO_MEMORY_MS);
  }

  onReady(tag: number, events: number): void {
    if (tag !== this.#connections || this.#fd === NO_FD) return;
    if (this.#state === 'connecting' && !this.#isConnected()) return;
    if ((events & EPOLLOUT) !== 0) {
      this.#sender.unblock();
      this.onSent();
    }
    if ((events & (EPOLLIN | ENDS)) !== 0) this.#isReadable = true;
    this.#receive();
  }

  onRoom(): void {
    this.#receive();
  }

  onCut(): void {
    this.#receive();
  }

  onTimer(): void {
    if (performance.now() >= this.#dueMs && 'address' in this.#opened) this.#connect(this.#opened.address);
    else {
      this.onSent();
      this.#receive();
    }
  }

  onMessage(message: unknown): void {
    const { fd } = message as StreamMessage; // main sends nothing else
    this.#drop();
    this.#take(fd);
  }

  reset(): void {}

  report(): LinkReport {
    return { peer: this.#peer, state: this.#state };
  }

  close(): void {
    this.#drop();
  }

  get #peer(): string {
    return 'fd' in this.#opened ? this.#opened.program : addressText(this.#opened.address);
  }

  #connect(address: SocketAddress): void {
    this.#dueMs = Infinity;
    const fd = openSocket(FAMILIES[address.family], SOCK_STREAM);
    if (fd < 0) return this.#fail(-fd);
    const result = connectSocket(fd, address);
    if (result < 0 && result !== -EINPROGRESS) {
      closeFd(fd);
      return this.#fail(-result);
    }
    if (address.family !== 'unix') setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    this.#state = 'connecting';
    this.#watch(fd);
    if (result === 0) this.#isConnected();
  }

  /** One that is connected. */
  #take(fd: number): void {
    this.#state = 'connecting';
    this.#watch(fd);
    this.#isConnected();
  }

  #watch(fd: number): void {
    this.#fd = fd;
    this.#reader.clear();
    this.#sender.clear();
    this.#isReadable = false;
    this.#port.poller.add(fd, ++this.#connections, EVENTS);
  }

  /** False: it has failed. */
  #isConnected(): boolean {
    const error = pendingError(this.#fd);
    if (error !== 0) {
      this.#drop();
      this.#fail(Math.abs(error));
      return false;
    }
    this.#state = 'up';
    this.#upSinceMs = performance.now();
    this.#port.setCarrier(true);
    return true;
  }

  /** What has come goes to the guest, and more is received, until there is none or the guest has no room. */
  #receive(): void {
    if (this.#state !== 'up') return;
    for (let reads = 0; reads < TURN_READS; reads++) {
      if (!this.#deliver()) return;
      if (!this.#isReadable) return;
      if (!this.#read()) return;
    }
    this.#port.arm(0);
  }

  /** False: nothing more is to be done now. */
  #deliver(): boolean {
    const port = this.#port;
    const reader = this.#reader;
    for (let frames = 0; frames < TURN_FRAMES; frames++) {
      const lengthBytes = reader.next();
      if (lengthBytes === NOT_YET) return true;
      if (lengthBytes === NO_FRAME) {
        this.#nonsense(reader.lengthField);
        return false;
      }
      const frame = reader.buffer.bytes.subarray(reader.frameAt, reader.frameAt + lengthBytes);
      if (port.isCut) port.drop('linkDown');
      else {
        if (!port.reserve(lengthBytes, port.pairOf(frame))) return false; // `onRoom` follows
        port.write(0, frame);
        port.commit(lengthBytes, NO_OFFLOAD);
      }
      reader.take(lengthBytes);
    }
    port.arm(0);
    return false;
  }

  /** False: there is no more, for now or for good. */
  #read(): boolean {
    const reader = this.#reader;
    const { message } = this.#port;
    message.clear();
    message.addBuffer(reader.buffer, reader.roomAt, reader.roomBytes);
    const result = message.receive(this.#fd);
    if (result === -EAGAIN) {
      this.#isReadable = false;
      return false;
    }
    if (result === -ENOBUFS || result === -ENOMEM) {
      this.#port.arm(NO_MEMORY_MS);
      return false;
    }
    if (result <= 0) {
      this.#end();
      return false;
    }
    reader.filled(result);
    return true;
  }

  #end(): void {
    this.#lose(
      `${this.#peer} has closed the connection: ${this.#port.name} has no link until it can be made again`,
    );
  }

  #nonsense(lengthBytes: number): void {
    this.#lose(
      `${this.#peer} does not speak QEMU's stream protocol: it announces a frame of ${lengthBytes} bytes; ` +
        `${this.#port.name} connects again`,
    );
  }

  /** It was up. */
  #lose(sentence: string): void {
    this.#drop();
    this.#port.setCarrier(false);
    if (performance.now() - this.#upSinceMs >= LASTING_MS) {
      this.#delayMs = FIRST_DELAY_MS;
      this.#isTold = false;
    }
    this.#tell(sentence);
    this.#connectLater();
  }

  #fail(errno: number): void {
    this.#tell(
      `nobody answers at ${this.#peer}: ${errnoText(errno)}; ${this.#port.name} has no link until somebody does`,
    );
    this.#connectLater();
  }

  /** Once for all the tries until it is well again. */
  #tell(sentence: string): void {
    if (!this.#isTold) this.#port.trouble(sentence);
    this.#isTold = true;
  }

  #connectLater(): void {
    if ('fd' in this.#opened) return; // main makes the next
    this.#dueMs = performance.now() + this.#delayMs;
    this.#port.arm(this.#delayMs);
    this.#delayMs = Math.min(LAST_DELAY_MS, 2 * this.#delayMs);
  }

  #drop(): void {
    this.#state = 'down';
    if (this.#fd === NO_FD) return;
    this.#port.poller.remove(this.#fd);
    closeFd(this.#fd);
    this.#fd = NO_FD;
  }
}
