/**
 * An interface on a switch. There is nobody in the middle: each member writes frames into the memory of those
 * that they are for, and learns from what comes who is where. So no process has to be there first, and none
 * is missed but for its own guest. On the I/O thread.
 */
import { lstatSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ETHER_HDR_LEN, ETHER_SHOST } from '../../../abi/packets.ts';
import { EPOLLET, EPOLLIN, EPOLLRDHUP } from '../../../abi/epoll.ts';
import { AF_UNIX, SOCK_SEQPACKET } from '../../../abi/socket.ts';
import { VIRTIO_NET_HDR_GSO_NONE } from '../../../abi/virtioNetHdr.ts';
import { log } from '../../../log.ts';
import { closeFd, createEventFd, signalEventFd } from '../../../kvm/libc.ts';
import { acceptFrom, connectSocket, openSocket } from '../../../kvm/net/sockets.ts';
import type { GuestFrame, GuestPort, LinkReport, NetLink } from '../netLink.ts';
import { noOffload, readOffload, writeOffload } from '../offloadHeader.ts';
import { SoftwareOffload } from '../softwareOffload.ts';
import { FRAME_HEADER_BYTES, type Greeting, SWITCH_VERSION } from './greeting.ts';
import { macKey, MacTable, macText } from './macTable.ts';
import type { OpenedSwitch } from './openSwitch.ts';
import { SwitchPeer } from './switchPeer.ts';

const LISTENER = 0;
const BELL = 1;
const FIRST_PEER = 2;
/** More VMs than one machine runs; each costs two rings. */
const MAX_PEERS = 64;
/** That one go delivers: other devices want their turn. */
const FRAMES_AT_ONCE = 128;
const GROUP_BIT = 1;

export class SwitchLink implements NetLink {
  readonly #opened: OpenedSwitch;
  readonly #port: GuestPort;
  readonly #bellFd = createEventFd();
  readonly #peers = new Map<number, SwitchPeer>();
  readonly #macs = new MacTable();
  readonly #offloads = new SoftwareOffload();
  #nextTag = FIRST_PEER;
  /** Of a record: the vnet header and the Ethernet header, which nobody else can change. */
  readonly #head = new Uint8Array(FRAME_HEADER_BYTES + ETHER_HDR_LEN);
  readonly #headView = new DataView(this.#head.buffer);
  readonly #offload = noOffload();
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);

  constructor(opened: OpenedSwitch, port: GuestPort) {
    this.#opened = opened;
    this.#port = port;
    port.poller.add(opened.fd, LISTENER, EPOLLIN | EPOLLET);
    port.poller.add(this.#bellFd, BELL, EPOLLIN | EPOLLET);
    for (const id of opened.others) this.#connect(id);
  }

  send(frame: GuestFrame): void {
    const { head, headBytes } = frame;
    if (headBytes < ETHER_HDR_LEN) return;
    writeOffload(this.#headerView, frame.offload);
    const target = this.#targetOf(head);
    if (target !== undefined) this.#give(target, frame);
    else for (const peer of this.#peers.values()) this.#give(peer, frame);
  }

  onSent(): void {
    for (const peer of this.#peers.values()) peer.wake();
  }

  onRoom(): void {
    this.#receive();
  }

  onReady(tag: number): void {
    if (tag === LISTENER) this.#accept();
    else if (tag === BELL) this.#receive();
    else this.#hear(tag);
  }

  reset(): void {}

  report(): LinkReport {
    return {
      folder: this.#opened.folder,
      members: [...this.#peers].map(([tag, it]) => ({
        vm: it.greeting?.vm ?? 'has not greeted yet',
        uid: it.uid,
        mtu: it.greeting?.mtu ?? 0,
        framesIn: it.framesIn,
        bytesIn: it.bytesIn,
        framesOut: it.framesOut,
        bytesOut: it.bytesOut,
        dropped: it.dropped,
        addresses: this.#macs.of(tag).map(macText),
      })),
    };
  }

  close(): void {
    for (const tag of [...this.#peers.keys()]) this.#part(tag);
    this.#port.poller.remove(this.#opened.fd);
    this.#port.poller.remove(this.#bellFd);
    closeFd(this.#opened.fd);
    closeFd(this.#bellFd);
  }

  // From the guest.

  /** Undefined: for all of them. */
  #targetOf(head: Uint8Array): SwitchPeer | undefined {
    if (((head[0] ?? 0) & GROUP_BIT) !== 0) return undefined;
    const tag = this.#macs.portOf(macKey(head, 0), performance.now());
    return tag === undefined ? undefined : this.#peers.get(tag);
  }

  #give(peer: SwitchPeer, frame: GuestFrame): void {
    const { greeting } = peer;
    if (greeting === undefined) return;
    if (!fits(frame, greeting.mtu)) {
      this.#port.drop('filtered');
      return;
    }
    const recordBytes = FRAME_HEADER_BYTES + frame.lengthBytes;
    const room = peer.reserve(recordBytes);
    if (room === undefined) {
      peer.dropped++;
      this.#port.drop('hostBusy');
      return;
    }
    room.set(this.#header);
    frame.copyTo(room.subarray(FRAME_HEADER_BYTES), 0);
    peer.publish(recordBytes);
  }

  // To the guest.

  /** What there is, a bounded number. Waits for more only when there is nothing. */
  #receive(): void {
    let left = FRAMES_AT_ONCE;
    for (const [tag, peer] of this.#peers) {
      while (left > 0) {
        const record = peer.reader.peek();
        if (record.length === 0) break;
        if (!this.#take(tag, peer, record)) return; // onRoom follows
        peer.reader.release(record.length);
        left--;
      }
      if (peer.isBroken) this.#part(tag, 'it broke the ring that we share');
    }
    let isMore = left === 0;
    if (!isMore) for (const peer of this.#peers.values()) isMore = peer.reader.wait() || isMore;
    if (isMore) signalEventFd(this.#bellFd);
  }

  /** False: the guest has no room. What is no frame is dropped. */
  #take(tag: number, peer: SwitchPeer, record: Uint8Array): boolean {
    const port = this.#port;
    const lengthBytes = record.length - FRAME_HEADER_BYTES;
    if (lengthBytes < ETHER_HDR_LEN) {
      port.drop('malformed');
      return true;
    }
    this.#head.set(record.subarray(0, this.#head.length));
    if (!readOffload(this.#headView, lengthBytes, this.#offload)) {
      port.drop('malformed');
      return true;
    }
    const delivery = this.#offloads.deliver(port, record.subarray(FRAME_HEADER_BYTES), this.#offload);
    if (delivery === 'noRoom') return false;
    if (delivery === 'malformed') {
      port.drop('malformed');
      return true;
    }
    peer.framesIn++;
    peer.bytesIn += lengthBytes;
    const source = FRAME_HEADER_BYTES + ETHER_SHOST;
    if (((this.#head[source] ?? 0) & GROUP_BIT) === 0)
      this.#macs.learn(macKey(this.#head, source), tag, performance.now());
    return true;
  }

  // Members.

  #connect(id: string): void {
    const address = { family: 'unix', path: path.join(this.#opened.folder, id) } as const;
    const fd = openSocket(AF_UNIX, SOCK_SEQPACKET);
    if (fd < 0) return;
    if (connectSocket(fd, address) === 0) return this.#meet(fd, true);
    closeFd(fd);
    removeDead(address.path);
  }

  #accept(): void {
    for (let fd = acceptFrom(this.#opened.fd); fd >= 0; fd = acceptFrom(this.#opened.fd))
      this.#meet(fd, false);
  }

  #meet(fd: number, isOurs: boolean): void {
    const peer = this.#peers.size < MAX_PEERS ? SwitchPeer.meet(fd, isOurs) : undefined;
    if (!(peer instanceof SwitchPeer)) return closeFd(fd);
    const tag = this.#nextTag++;
    this.#peers.set(tag, peer);
    const { id, vm, mtu } = this.#opened;
    const greeting: Greeting = { version: SWITCH_VERSION, id, vm, mtu };
    if (peer.greet(greeting, this.#bellFd) < 0) return this.#part(tag);
    this.#port.poller.add(fd, tag, EPOLLIN | EPOLLRDHUP | EPOLLET);
  }

  #hear(tag: number): void {
    const peer = this.#peers.get(tag);
    if (peer === undefined) return;
    for (;;) {
      const heard = peer.hear();
      if (heard === 'nothing') return;
      if (heard === 'gone') return this.#part(tag);
      if (heard !== 'greeted') return this.#part(tag, heard.refused);
      if (!this.#keepOne(tag, peer)) return;
      if (peer.reader.wait()) this.#receive(); // it may have been faster
    }
  }

  /** Two that joined at once have met twice: the connection of the lesser id stays. False: not this one. */
  #keepOne(tag: number, peer: SwitchPeer): boolean {
    const { greeting } = peer;
    const again = [...this.#peers].find(([it, other]) => it !== tag && other.greeting?.id === greeting?.id);
    if (again === undefined || greeting === undefined) return true;
    const isKept = peer.isOurs === this.#opened.id < greeting.id;
    this.#part(isKept ? again[0] : tag);
    return isKept;
  }

  #part(tag: number, why?: string): void {
    const peer = this.#peers.get(tag);
    if (peer === undefined) return;
    if (why !== undefined) log.warn(this.#port.name, 'parted from a member of the switch', { why });
    this.#peers.delete(tag);
    this.#macs.removePort(tag);
    this.#port.poller.remove(peer.fd);
    peer.close();
  }
}

/** Who does not listen was killed, and has left its socket. */
function removeDead(socket: string): void {
  if (lstatSync(socket, { throwIfNoEntry: false })?.isSocket() !== true) return;
  try {
    rmSync(socket);
  } catch {
    // another user's, who will remove it
  }
}

/** On the I/O thread. */
export function attach(opened: unknown, port: GuestPort): NetLink {
  return new SwitchLink(opened as OpenedSwitch, port); // open's
}

/** The frame, or each segment that is to be made of it. */
function fits({ lengthBytes, offload }: GuestFrame, mtu: number): boolean {
  const vlanBytes = 4;
  return offload.gsoType !== VIRTIO_NET_HDR_GSO_NONE || lengthBytes <= mtu + ETHER_HDR_LEN + vlanBytes;
}
