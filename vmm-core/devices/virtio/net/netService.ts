/**
 * Serves a network interface on its I/O thread: has the guest's frames sent by the link, lends the guest's
 * buffers to it, obeys the control queue, and does what main asks for in between. A go is one call from the
 * loop: at its end the driver is interrupted for all that it has brought.
 */
import {
  VIRTIO_NET_F_CTRL_VLAN,
  VIRTIO_NET_F_GUEST_ANNOUNCE,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../../abi/virtioNet.ts';
import { VirtioNetHdr, VirtioNetHdrV1 } from '../../../abi/virtioNetHdr.ts';
import { VIRTIO_F_VERSION_1 } from '../../../abi/virtioConfig.ts';
import { CaptureBuffer, type CaptureSettings } from '../../../backends/net/capture/capture.ts';
import type { LinkCode } from '../../../backends/net/linkKind.ts';
import { newMessage } from '../../../backends/net/linkMessage.ts';
import type { LinkReport, NetLink } from '../../../backends/net/netLink.ts';
import type { MessageIo } from '../../../bus/messageIo.ts';
import type { VirtioPort, VirtioService } from '../virtioClass.ts';
import type { VirtQueue } from '../queue.ts';
import { DescriptorChain } from '../descriptorChain.ts';
import { RamCopy } from '../ramCopy.ts';
import { ControlQueue } from './controlQueue.ts';
import { DevicePort } from './devicePort.ts';
import { KernelPairs } from './kernelPairs.ts';
import { MacFilter } from './macFilter.ts';
import { clearAnnounce, DEFAULT_MTU, macBytes, setLink } from './netConfig.ts';
import { NetCounters } from './netCounters.ts';
import { GUEST_OFFLOADS, offloadsOf } from './netFeatures.ts';
import type { NetCommand, NetNews } from './netMessages.ts';
import type { NetInstance, NetState } from './netState.ts';
import { RxBuffers } from './rxBuffers.ts';
import { TxFrame } from './txFrames.ts';

/** Of one queue in one go: others have their turn then. */
const MAX_FRAMES = 256;
const MAX_BYTES = 4 << 20;
/** The driver may use the descriptors of so many frames again before the go ends. */
const FRAMES_TO_PUBLISH = 16;
const SOURCE_AT = 6;
const U32 = 2 ** 32;

export class NetService implements VirtioService {
  readonly #port: VirtioPort<NetState>;
  readonly #link: NetLink;
  readonly #kernelPairs: KernelPairs | undefined;
  readonly #guestPort: DevicePort;
  readonly #filter: MacFilter;
  readonly #counters: NetCounters;
  readonly #buffers: readonly RxBuffers[];
  readonly #transmitQueues: readonly VirtQueue[];
  readonly #chain = new DescriptorChain();
  readonly #frame: TxFrame;
  readonly #isLocked: boolean;
  readonly #lladdr: Uint8Array;
  /** By the index of its queue, which is not the same for all drivers (§5.1.2). */
  readonly #controlQueues: ReadonlyMap<number, ControlQueue>;
  #controlIndex = 0;
  #headerBytes = VirtioNetHdrV1.size;
  #isRunning = false;
  /** The link's: see GuestPort.setCarrier. */
  #hasCarrier = true;

  constructor(instance: NetInstance, port: VirtioPort<NetState>, attach: LinkCode['attach']) {
    const { network, pairs, name } = instance;
    const { io } = port;
    if (io === undefined) throw new Error(`${name} has no I/O thread`);
    const { regs } = port.state;
    const ram = new RamCopy(port.memory);
    const fail = (rule: string): void => port.fail(rule);
    this.#port = port;
    this.#isLocked = network.isLocked === true;
    this.#lladdr = macBytes(instance.lladdr);
    this.#filter = new MacFilter(regs, this.#isLocked);
    this.#counters = new NetCounters(regs);
    let message: MessageIo | undefined;
    const copies = (): MessageIo => (message ??= newMessage(port.memory));
    const indexes = Array.from({ length: pairs }, (_, pair) => pair);
    this.#buffers = indexes.map((pair) => new RxBuffers(port.queue(2 * pair), ram, fail, copies));
    this.#transmitQueues = indexes.map((pair) => port.queue(2 * pair + 1));
    this.#frame = new TxFrame(ram, this.#chain, this.#isLocked, copies);
    this.#controlQueues = new Map([2, 2 * pairs].map((it) => [it, this.#controlQueue(it, ram, fail)]));
    this.#guestPort = new DevicePort({
      name,
      mac: this.#lladdr.slice(),
      mtu: network.mtu ?? DEFAULT_MTU,
      isLocked: this.#isLocked,
      buffers: this.#buffers,
      filter: this.#filter,
      counters: this.#counters,
      poller: () => io.poller,
      message: () => newMessage(port.memory),
      setCarrier: (isUp) => this.#setCarrier(isUp),
      arm: (delayMs) => io.arm(delayMs),
      trouble: (message) => this.#tell({ kind: 'trouble', message }),
      tell: (message) => this.#tell({ kind: 'link', message }),
    });
    this.#guestPort.isCut = network.isDown === true;
    this.#filter.reset(false);
    this.#link = attach(port.opened, this.#guestPort);
    const { pairServer: server } = this.#link;
    const giveBack = (pair: number): void => this.#giveBack(pair);
    this.#kernelPairs = server && new KernelPairs({ server, port, doorbells: io, giveBack });
  }

  onKick(index: number): boolean {
    const isMore = this.#onKick(index);
    this.#settle(); // a queue may have been enabled, or the driver have broken a rule
    return isMore;
  }

  #onKick(index: number): boolean {
    if (index === this.#controlIndex) return this.#controlQueues.get(index)?.onKick() ?? false;
    const pair = index >>> 1;
    if (pair >= this.#transmitQueues.length || this.#kernelPairs?.isLent(pair) === true) return false;
    const isMore = (index & 1) === 1 && this.#transmit(pair);
    if ((index & 1) === 0) this.#offerRoom();
    this.#endGo();
    return isMore;
  }

  onReady(tag: number, events: number): void {
    this.#link.onReady(tag, events);
  }

  /** One wait may bring many that are ready. */
  onAllDone(): void {
    this.#endGo();
  }

  /** Links have times of their own, guest or not. */
  readonly hasOwnTime = true;

  onTimer(): void {
    this.#guestPort.capture?.onTimer();
    this.#link.onTimer?.();
    this.#endGo();
  }

  onMessage(message: unknown): void {
    const command = message as NetCommand; // NetBackend sends nothing else
    switch (command.kind) {
      case 'setUp':
        this.#guestPort.isCut = !command.isUp;
        this.#linkChanged();
        if (!command.isUp) this.#link.onCut?.();
        break;
      case 'report':
        this.#tell({ kind: 'report', id: command.id, report: this.#report() });
        break;
      case 'capture':
        this.#setCapture(command.settings);
        break;
      case 'captured':
        this.#guestPort.capture?.onWritten(command.batches);
        break;
      case 'link':
        this.#link.onMessage?.(command.message);
    }
    this.#endGo();
  }

  pause(): void {
    this.#isRunning = false;
    this.#guestPort.capture?.onTimer(); // who looks at a VM that is paused finds all frames
    this.#endGo(); // frames of this turn, of which the driver was not told yet
    this.#open();
    this.#link.pause?.();
    for (const it of this.#buffers) it.giveBack();
  }

  resume(): void {
    const has = (bit: number): boolean => this.#port.hasFeature(bit);
    const { regs } = this.#port.state;
    const isMergeable = has(VIRTIO_NET_F_MRG_RXBUF);
    const headerBytes = isMergeable || has(VIRTIO_F_VERSION_1) ? VirtioNetHdrV1.size : VirtioNetHdr.size;
    this.#headerBytes = headerBytes;
    this.#controlIndex = has(VIRTIO_NET_F_MQ) ? 2 * this.#buffers.length : 2;
    this.#frame.configure(headerBytes, has);
    for (const it of this.#buffers) it.configure(headerBytes, isMergeable);
    this.#isRunning = true;
    if (regs.pairs === 0) this.#begin();
    this.#link.resume?.();
    this.#open();
  }

  /** The driver is ready for the first time since its reset. */
  #begin(): void {
    const has = (bit: number): boolean => this.#port.hasFeature(bit);
    this.#filter.reset(has(VIRTIO_NET_F_CTRL_VLAN));
    this.#usePairs(1);
    const taken = GUEST_OFFLOADS.filter(has);
    this.#setOffloads(wordOf(taken, 0), wordOf(taken, 1));
    this.#guestPort.mac.set(this.#port.state.regs.config.subarray(0, this.#lladdr.length));
  }

  reset(): void {
    for (const it of this.#buffers) it.forget();
    this.#guestPort.forget();
    this.#guestPort.mac.set(this.#lladdr);
    this.#port.state.regs.pairs = 0;
    this.#link.reset();
    this.#kernelPairs?.reset();
  }

  resetQueue(index: number): void {
    if ((index & 1) === 0) this.#buffers[index >>> 1]?.forget();
  }

  close(): void {
    this.#setCapture(undefined);
    this.#link.close();
  }

  /** True: there may be more. */
  #transmit(pair: number): boolean {
    const queue = this.#transmitQueues[pair];
    if (queue === undefined) return false;
    const chain = this.#chain;
    let frames = 0;
    let bytes = 0;
    while (frames < MAX_FRAMES && bytes < MAX_BYTES && queue.pop(chain)) {
      this.#sendFrame(pair);
      queue.put(chain.head, 0);
      bytes += chain.readableBytes;
      if (++frames % FRAMES_TO_PUBLISH === 0) queue.publish();
    }
    if (frames === 0) return false;
    this.#link.onSent?.();
    queue.publish();
    this.#port.notifyUsed(queue);
    return frames === MAX_FRAMES || bytes >= MAX_BYTES;
  }

  /** The frame in #chain. */
  #sendFrame(pair: number): void {
    const frame = this.#frame;
    const counters = this.#counters;
    if (!frame.load(this.#chain)) return counters.sentDropped('malformed');
    if (!this.#guestPort.isOpen) return counters.sentDropped('linkDown');
    if (this.#isLocked && !this.#isOwnSource(frame.head)) return counters.sentDropped('filtered');
    counters.sent(frame.lengthBytes);
    this.#guestPort.learn(frame.head, pair);
    if (this.#guestPort.capture !== undefined) this.#guestPort.capture.add(true, frame);
    this.#guestPort.isSending = true;
    this.#link.send(frame, pair);
    this.#guestPort.isSending = false;
  }

  #isOwnSource(head: Uint8Array): boolean {
    const own = this.#lladdr;
    for (let i = 0; i < own.length; i++) if (head[SOURCE_AT + i] !== own[i]) return false;
    return true;
  }

  #setCapture(settings: CaptureSettings | undefined): void {
    const port = this.#guestPort;
    port.capture?.end();
    if (port.capture !== undefined) this.#tell({ kind: 'capture', batch: undefined });
    port.capture =
      settings &&
      new CaptureBuffer(settings, {
        tell: (batch) => this.#tell({ kind: 'capture', batch }),
        arm: (delayMs) => port.arm(delayMs),
      });
    this.#settle();
  }

  #offerRoom(): void {
    if (!this.#guestPort.isOpen || !this.#guestPort.isRoomWanted) return;
    this.#guestPort.isRoomWanted = false;
    this.#link.onRoom?.();
  }

  /** Interrupts for all that the go has brought. */
  #endGo(): void {
    for (const it of this.#buffers) {
      if (!it.isUntold) continue;
      it.isUntold = false;
      this.#port.notifyUsed(it.queue);
    }
    this.#counters.publish();
  }

  /** Opens or closes the way of frames, as the driver and the link want it. */
  #open(): void {
    const isOpen = this.#isRunning && this.#isUp;
    if (isOpen === this.#guestPort.isOpen) return this.#settle();
    this.#guestPort.isOpen = isOpen;
    this.#guestPort.forget();
    this.#guestPort.isRoomWanted = true;
    if (isOpen) this.#port.kick(0); // onRoom, in a go of its own
    this.#settle();
  }

  #giveBack(pair: number): void {
    this.#endGo();
    this.#guestPort.forget();
    this.#buffers[pair]?.giveBack();
  }

  /** The kernel has the queues while it may: a capture sees frames only here. */
  #settle(): void {
    if (this.#kernelPairs === undefined) return;
    const { isOpen, capture, pairsInUse } = this.#guestPort;
    const isForKernel = isOpen && capture === undefined && this.#headerBytes === VirtioNetHdrV1.size;
    this.#kernelPairs.settle(isForKernel ? pairsInUse : 0);
  }

  get #isUp(): boolean {
    return !this.#guestPort.isCut && this.#hasCarrier;
  }

  #setCarrier(isUp: boolean): void {
    this.#hasCarrier = isUp;
    this.#linkChanged();
  }

  #linkChanged(): void {
    const isUp = this.#isUp;
    const { regs } = this.#port.state;
    const isReady = regs.pairs !== 0; // the driver, while the VM is paused, too
    const isToAnnounce = isUp && isReady && this.#port.hasFeature(VIRTIO_NET_F_GUEST_ANNOUNCE);
    this.#port.changeConfig((config) => {
      setLink(config, isUp, isToAnnounce);
      setLink(regs.powerOn, isUp, false);
    });
    this.#open();
  }

  #controlQueue(index: number, ram: RamCopy, fail: (rule: string) => void): ControlQueue {
    const port = this.#port;
    const { regs } = port.state;
    const queue = port.queue(index);
    return new ControlQueue(
      {
        queue,
        filter: this.#filter,
        hasFeature: (bit) => port.hasFeature(bit),
        setMac: (mac) => this.#setMac(mac),
        announced: () => port.state.locked(() => clearAnnounce(regs.config)),
        setPairs: (pairs) => {
          if (pairs < 1 || pairs > this.#buffers.length) return false;
          this.#usePairs(pairs);
          return true;
        },
        setGuestOffloads: (low, high) => {
          const may = (bit: number): boolean => GUEST_OFFLOADS.includes(bit) && port.hasFeature(bit);
          if (!bitsOf(low, high).every(may)) return false;
          this.#setOffloads(low, high);
          return true;
        },
        count: (isDone) => {
          regs.commands++;
          if (!isDone) regs.failedCommands++;
        },
        notifyUsed: () => port.notifyUsed(queue),
        fail,
      },
      ram,
    );
  }

  #setMac(mac: Uint8Array): void {
    this.#guestPort.mac.set(mac);
    this.#port.state.locked(() => this.#port.state.regs.config.set(mac));
  }

  #usePairs(pairs: number): void {
    this.#guestPort.usePairs(pairs);
    this.#port.state.regs.pairs = pairs;
    this.#kernelPairs?.settle(0); // of the tap's queues only those may be served that it uses
    this.#link.pairServer?.usePairs(pairs);
    // A frame that waits for room in a queue that is not used any more waits for another one now, which the
    // driver filled long ago.
    if (this.#guestPort.isRoomWanted) this.#port.kick(0);
    this.#settle();
  }

  #setOffloads(low: number, high: number): void {
    const { regs } = this.#port.state;
    regs.guestOffloadsLow = low;
    regs.guestOffloadsHigh = high;
    const bits = bitsOf(low, high);
    this.#guestPort.offloads = offloadsOf((bit) => bits.includes(bit));
    this.#link.onOffloads?.();
  }

  #report(): LinkReport {
    return { traffic: this.#counters.report(performance.now()), ...this.#link.report() };
  }

  #tell(news: NetNews): void {
    this.#port.tell?.(news);
  }
}

function wordOf(bits: readonly number[], word: number): number {
  const of = bits.filter((it) => it >>> 5 === word);
  return of.reduce((sum, it) => sum + 2 ** (it & 31), 0) % U32;
}

function bitsOf(low: number, high: number): readonly number[] {
  const all = Array.from({ length: 64 }, (_, bit) => bit);
  return all.filter((bit) => ((bit < 32 ? low : high) & (1 << (bit & 31))) !== 0);
}
