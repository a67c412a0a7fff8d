/**
 * A link over a tap interface of the host: frames go from and to guest memory, behind a header that says what
 * of their work is left. On the I/O thread.
 */
import { EPOLLET, EPOLLIN } from '../../../abi/epoll.ts';
import { EAGAIN, EBADFD, EINVAL, EIO, ENOBUFS, ENOMEM } from '../../../kvm/errno.ts';
import { closeFd } from '../../../kvm/libc.ts';
import { setTapOffloads } from '../../../kvm/net/tun.ts';
import { IoBuffer } from '../../../memory/ioBuffer.ts';
import type { DropReason, GuestFrame, GuestPort, LinkReport, NetLink } from '../netLink.ts';
import { MAX_FRAME_BYTES } from '../netLink.ts';
import { noOffload, OFFLOAD_HEADER_BYTES, readOffload, writeOffload } from '../offloadHeader.ts';
import { takesOffload, tunFlags } from './tapOffloads.ts';
import { VhostPairs } from './vhostPairs.ts';

/** From main; plain data. */
export interface TapOpened {
  /** `tap7`. */
  readonly name: string;
  /** One a queue. */
  readonly fds: readonly number[];
  /** TUN_F_… that the host's kernel knows. */
  readonly offloads: number;
  /** Of /dev/vhost-net, one a queue; none: frames come and go here. */
  readonly vhostFds: readonly number[];
}

/** What answers some of the guest's frames in place of the host: `local` has DHCP and a router. */
export interface Answerer {
  /** True: the frame was for it. */
  answer(frame: GuestFrame): boolean;
  /** A time has come that it may have waited for (GuestPort.arm). */
  onTimer?(): void;
  /** The driver has reset the device. */
  reset?(): void;
}

/** That one turn of a queue brings, or as many bytes: others want theirs. */
const TURN_FRAMES = 64;
const TURN_BYTES = 1 << 20;
/** An Ethernet header with a VLAN tag. */
const ETHERNET_BYTES = 18;

const DROPS: Readonly<Record<number, DropReason>> = {
  [-EAGAIN]: 'hostBusy',
  [-ENOBUFS]: 'hostBusy',
  [-EIO]: 'linkDown', // the interface is down
  [-EINVAL]: 'malformed', // the kernel does not like the header
};

/** `opened`: as `open` of openTap.ts made it. */
export function attach(opened: unknown, port: GuestPort): NetLink {
  return new TapLink(opened as TapOpened, port);
}

/** After the host had no memory for a frame. */
const RETRY_MS = 10;

export class TapLink implements NetLink {
  readonly #opened: TapOpened;
  readonly #port: GuestPort;
  readonly #answerers: readonly Answerer[];
  /** Before each frame. */
  readonly #header = new IoBuffer(OFFLOAD_HEADER_BYTES);
  readonly #view = new DataView(this.#header.memory.buffer, 0, OFFLOAD_HEADER_BYTES);
  readonly #offload = noOffload();
  /** By queue: an edge was told, and not all is taken. */
  readonly #isReadable: boolean[];
  #isGone = false;
  /**
   * A frame that was taken from the tap when the guest had no room for the longest that may come: it waits
   * here for room for itself. Made when there is one for the first time.
   */
  #kept: IoBuffer | undefined;
  #keptBytes = 0;
  #keptQueue = 0;
  /** See NetLink. */
  readonly pairServer: VhostPairs | undefined;

  constructor(opened: TapOpened, port: GuestPort, answerers: readonly Answerer[] = []) {
    this.#opened = opened;
    this.#port = port;
    this.#answerers = answerers;
    this.#isReadable = opened.fds.map(() => false);
    opened.fds.forEach((fd, queue) => port.poller.add(fd, queue, EPOLLIN | EPOLLET));
    this.pairServer = this.#openVhost(opened);
    this.onOffloads();
  }

  send(frame: GuestFrame, pair: number): void {
    for (const it of this.#answerers) if (it.answer(frame)) return;
    const { fds } = this.#opened;
    const { message } = this.#port;
    writeOffload(this.#view, frame.offload);
    message.clear();
    message.addBuffer(this.#header, 0, OFFLOAD_HEADER_BYTES);
    if (!frame.addTo(message, 0, frame.lengthBytes)) return this.#port.drop('malformed');
    const result = message.writev(fds[pair % fds.length] ?? -1);
    if (result < 0) this.#lose(result);
  }

  onReady(queue: number): void {
    const queues = this.#isReadable.length;
    if (queue >= queues) return this.pairServer?.onReady(queue - queues);
    this.#isReadable[queue] = true;
    this.#receive(queue);
  }

  onRoom(): void {
    this.#receiveAll();
  }

  onCut(): void {
    this.#receiveAll();
  }

  onTimer(): void {
    for (const it of this.#answerers) it.onTimer?.();
    this.#receiveAll();
  }

  /** Frames that are in the tap already may be of the kind that the guest took before: they are dropped. */
  onOffloads(): void {
    const flags = tunFlags(this.#port.offloads) & this.#opened.offloads;
    for (const fd of this.#opened.fds) setTapOffloads(fd, flags);
  }

  reset(): void {
    this.#keptBytes = 0;
    for (const it of this.#answerers) it.reset?.();
    this.onOffloads();
  }

  report(): LinkReport {
    const { name, fds } = this.#opened;
    const { served = 0 } = this.pairServer ?? {};
    return {
      interface: name,
      queues: fds.length,
      // Its frames are not counted here; `ip -s link` of the host does.
      ...(served > 0 ? { servedBy: `the kernel (vhost): ${served} of ${fds.length} queues` } : {}),
      ...(this.#isGone ? { state: 'gone' } : {}),
    };
  }

  close(): void {
    this.pairServer?.close();
    for (const fd of this.#opened.fds) {
      this.#port.poller.remove(fd);
      closeFd(fd);
    }
  }

  #openVhost({ fds, vhostFds }: TapOpened): VhostPairs | undefined {
    if (vhostFds.length === 0) return undefined;
    return new VhostPairs({
      ...{ vhostFds, tapFds: fds, port: this.#port, firstTag: fds.length },
      clear: (queue) => queue !== this.#keptQueue || this.#deliverKept(),
      setReading: (queue, isReading) => this.#setReading(queue, isReading),
    });
  }

  #setReading(queue: number, isReading: boolean): void {
    const fd = this.#opened.fds[queue] ?? -1;
    const { poller } = this.#port;
    if (isReading) {
      poller.add(fd, queue, EPOLLIN | EPOLLET);
      return;
    }
    poller.remove(fd);
    this.#isReadable[queue] = false;
  }

  #receiveAll(): void {
    this.#isReadable.forEach((isReadable, queue) => {
      if (isReadable) this.#receive(queue);
    });
  }

  /** Until there is no more, the guest has no room (`onRoom` follows), or others want their turn. */
  #receive(queue: number): void {
    let bytes = 0;
    for (let frames = 0; frames < TURN_FRAMES && bytes < TURN_BYTES; frames++) {
      if (this.#isGone || !this.#deliverKept()) return;
      const result = this.#readFrame(queue);
      if (result === -EAGAIN) {
        this.#isReadable[queue] = false;
        return;
      }
      if (result < 0) return this.#fail(queue, result);
      bytes += result;
    }
    this.#port.arm(0);
  }

  /** Straight into guest memory where there is room for whatever comes. Bytes with the header, or -errno. */
  #readFrame(queue: number): number {
    const port = this.#port;
    const { message } = port;
    const roomBytes = this.#longestFrame;
    const isDirect = port.reserve(roomBytes, queue) && this.#point(roomBytes);
    if (!isDirect) this.#point(roomBytes, (this.#kept ??= new IoBuffer(MAX_FRAME_BYTES)));
    const result = message.readv(this.#opened.fds[queue] ?? -1);
    if (result < 0) return result;
    const frameBytes = result - OFFLOAD_HEADER_BYTES;
    // A tap cuts a frame that is too long without a word. What it says of a frame is for who else is in the
    // host's network to choose, and was perhaps said when the guest still took it.
    const isWhole = frameBytes > 0 && frameBytes < roomBytes;
    const isSane = isWhole && readOffload(this.#view, frameBytes, this.#offload);
    if (!isSane || !takesOffload(port.offloads, this.#offload)) port.drop('malformed');
    else if (isDirect) port.commit(frameBytes, this.#offload);
    else {
      this.#keptBytes = frameBytes;
      this.#keptQueue = queue;
    }
    return result;
  }

  /** Has the message receive a header and a frame. False: the guest's buffers are in too many pieces. */
  #point(roomBytes: number, into?: IoBuffer): boolean {
    const { message } = this.#port;
    message.clear();
    message.addBuffer(this.#header, 0, OFFLOAD_HEADER_BYTES);
    if (into !== undefined) return message.addBuffer(into, 0, roomBytes);
    return this.#port.addTo(message, 0, roomBytes);
  }

  /** False: it waits still. */
  #deliverKept(): boolean {
    const port = this.#port;
    const lengthBytes = this.#keptBytes;
    if (lengthBytes === 0 || this.#kept === undefined) return true;
    if (!port.isCut && !port.reserve(lengthBytes, this.#keptQueue)) return false;
    this.#keptBytes = 0;
    if (port.isCut) port.drop('linkDown');
    else if (!takesOffload(port.offloads, this.#offload)) port.drop('malformed');
    else {
      port.write(0, this.#kept.bytes.subarray(0, lengthBytes));
      port.commit(lengthBytes, this.#offload);
    }
    return true;
  }

  /** One more byte than it may have: what fills it was cut. */
  get #longestFrame(): number {
    const { tso4, tso6, ufo, uso4, uso6 } = this.#port.offloads;
    if (tso4 || tso6 || ufo || uso4 || uso6) return MAX_FRAME_BYTES;
    return this.#port.mtu + ETHERNET_BYTES + 1;
  }

  #lose(result: number): void {
    this.#port.drop(DROPS[result] ?? 'hostBusy');
    if (result === -EBADFD) this.#lost();
  }

  #fail(queue: number, result: number): void {
    if (result === -ENOBUFS || result === -ENOMEM) return this.#port.arm(RETRY_MS); // it is there still
    this.#isReadable[queue] = false;
    if (result === -EBADFD) this.#lost();
  }

  /** Somebody has deleted the interface. */
  #lost(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    for (const fd of this.#opened.fds) this.#port.poller.remove(fd);
    this.#port.setCarrier(false);
    this.#port.trouble(
      `the interface ${this.#opened.name} was deleted: ${this.#port.name} has no link until the VM is started again`,
    );
  }
}
