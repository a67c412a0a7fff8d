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
import { EAGAIN, EBADFD, ECONNREFUSED, EINVAL, EIO } from '../../../kvm/errno.ts';
import { closeFd, createEventFd, signalEventFd } from '../../../kvm/libc.ts';
import { acceptFrom, connectSocket, openSocket } from '../../../kvm/net/sockets.ts';
import type { GuestFrame, GuestPort, LinkReport, NetLink } from '../netLink.ts';
import { noOffload, OFFLOAD_HEADER_BYTES, readOffload, writeOffload } from '../offloadHeader.ts';
import { SoftwareOffload } from '../softwareOffload.ts';
import { type Greeting, MAX_RECORD_BYTES, SWITCH_VERSION } from './greeting.ts';
import { macKey, MacTable, macText } from './macTable.ts';
import type { OpenedSwitch } from './openSwitch.ts';
import { SwitchPeer } from './switchPeer.ts';
import type { Uplink } from './uplink.ts';
import { UplinkHolder } from './uplinkHolder.ts';

const LISTENER = 0;
const BELL = 1;
const UPLINK = 2;
/** No tag: our own guest, in the table of who is where. */
const GUEST = 3;
const FIRST_PEER = 4;
/** More VMs than one machine runs; each costs two rings. */
const MAX_PEERS = 64;
/**
 * That one go delivers, of all members alike: other devices want their turn, and one that floods the switch
 * shall not keep the others' frames waiting.
 */
const FRAMES_AT_ONCE = 128;
/** Of a member that has gone: more than a guest has buffers for. */
const LAST_FRAMES = 1024;
const ACCEPT_MS = 100;
const GROUP_BIT = 1;

export class SwitchLink implements NetLink {
  readonly #opened: OpenedSwitch;
  readonly #port: GuestPort;
  readonly #bellFd = createEventFd();
  readonly #peers = new Map<number, SwitchPeer>();
  readonly #macs = new MacTable();
  readonly #offloads = new SoftwareOffload();
  #nextTag = FIRST_PEER;
  /** Of peers: whose turn comes after whose, and who is the first of the next go. */
  #tags: readonly number[] = [];
  #first = 0;
  #isClosed = false;
  #isTwinTold = false;
  #isAcceptDue = false;
  readonly #holder: UplinkHolder;
  /** Of a record: the vnet header and the Ethernet header, which nobody else can change. */
  readonly #head = new Uint8Array(OFFLOAD_HEADER_BYTES + ETHER_HDR_LEN);
  readonly #headView = new DataView(this.#head.buffer);
  readonly #offload = noOffload();
  readonly #header = new Uint8Array(OFFLOAD_HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);

  constructor(opened: OpenedSwitch, port: GuestPort) {
    this.#opened = opened;
    this.#port = port;
    port.poller.add(opened.fd, LISTENER, EPOLLIN | EPOLLET);
    port.poller.add(this.#bellFd, BELL, EPOLLIN | EPOLLET);
    const { request, held } = opened.uplink ?? {};
    this.#holder = new UplinkHolder(request, held, port, ({ fd }) => {
      port.poller.add(fd, UPLINK, EPOLLIN | EPOLLET);
      this.#macs.learn(macKey(port.mac, 0), GUEST, performance.now());
    });
    for (const id of opened.others) this.#connect(id);
  }

  send(frame: GuestFrame): void {
    const { head, headBytes } = frame;
    if (headBytes < ETHER_HDR_LEN) return;
    const { uplink } = this.#holder;
    writeOffload(this.#headerView, frame.offload);
    if (uplink !== undefined) this.#learn(head, 0, GUEST);
    const target = this.#targetOf(head, 0);
    const peer = target === undefined ? undefined : this.#peers.get(target);
    if (peer !== undefined) return this.#give(peer, frame);
    if (target === GUEST) return; // it has sent to itself
    if (target !== UPLINK) for (const it of this.#peers.values()) this.#give(it, frame);
    if (uplink !== undefined) this.#sent(uplink.send(this.#port.message, this.#header, frame));
  }

  onSent(): void {
    for (const peer of this.#peers.values()) peer.wake(this.#port.message);
  }

  onRoom(): void {
    this.#receive();
  }

  onCut(): void {
    this.#receive();
  }

  onReady(tag: number): void {
    if (tag === LISTENER) this.#accept();
    else if (tag === UPLINK) {
      if (this.#holder.uplink !== undefined) this.#holder.uplink.isReadable = true;
      this.#receive();
    } else if (tag === BELL) this.#receive();
    else this.#hear(tag);
  }

  onTimer(): void {
    if (this.#isAcceptDue) this.#accept();
    this.#holder.tryAgain();
  }

  reset(): void {}

  report(): LinkReport {
    const { uplink } = this.#holder;
    return {
      folder: this.#opened.folder,
      ...(uplink === undefined
        ? {}
        : {
            uplink: uplink.name,
            uplinkFramesIn: uplink.framesIn,
            uplinkFramesOut: uplink.framesOut,
            uplinkAddresses: this.#macs.of(UPLINK).map(macText),
          }),
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
    this.#isClosed = true;
    this.#loseUplink();
    for (const tag of [...this.#peers.keys()]) this.#part(tag);
    this.#port.poller.remove(this.#opened.fd);
    this.#port.poller.remove(this.#bellFd);
    closeFd(this.#opened.fd);
    closeFd(this.#bellFd);
  }

  /** Undefined: for all of them. */
  #targetOf(bytes: Uint8Array, at: number): number | undefined {
    if (((bytes[at] ?? 0) & GROUP_BIT) !== 0) return undefined;
    return this.#macs.portOf(macKey(bytes, at), performance.now());
  }

  #learn(bytes: Uint8Array, at: number, port: number): void {
    const source = at + ETHER_SHOST;
    if (((bytes[source] ?? 0) & GROUP_BIT) === 0)
      this.#macs.learn(macKey(bytes, source), port, performance.now());
  }

  // From the guest.

  #give(peer: SwitchPeer, frame: GuestFrame): void {
    const recordBytes = OFFLOAD_HEADER_BYTES + frame.lengthBytes;
    const room = this.#roomAt(peer, recordBytes, frame.offload.gsoType);
    if (room === undefined) return;
    room.set(this.#header);
    frame.copyTo(room.subarray(OFFLOAD_HEADER_BYTES), 0);
    peer.publish(recordBytes);
  }

  /** Undefined: it does not get the frame. */
  #roomAt(peer: SwitchPeer, recordBytes: number, gsoType: number): Uint8Array | undefined {
    const { greeting } = peer;
    if (greeting === undefined) return undefined;
    if (!fits(recordBytes - OFFLOAD_HEADER_BYTES, gsoType, greeting.mtu)) {
      this.#port.drop('filtered');
      return undefined;
    }
    const room = peer.reserve(recordBytes);
    if (room === undefined) {
      peer.dropped++;
      this.#port.drop('hostBusy');
    }
    return room;
  }

  // To the guest.

  /** What there is, a bounded number. Waits for more only when there is nothing. */
  #receive(): void {
    const tags = this.#tags;
    const share = Math.max(1, Math.floor(FRAMES_AT_ONCE / (tags.length + 1)));
    let isMore = this.#receiveUplink(share);
    const first = this.#first++;
    for (let i = 0; i < tags.length; i++) {
      const tag = tags[(first + i) % tags.length] ?? 0;
      const peer = this.#peers.get(tag);
      if (peer === undefined) continue;
      const left = this.#drain(tag, peer, share);
      if (peer.isBroken) this.#part(tag, 'it broke the ring that we share');
      if (left === 'noRoom') return; // onRoom follows
      if (left === 'more') isMore = true;
    }
    if (!isMore) for (const peer of this.#peers.values()) isMore = peer.reader.wait() || isMore;
    if (isMore) signalEventFd(this.#bellFd);
  }

  #drain(tag: number, peer: SwitchPeer, most: number): 'nothing' | 'more' | 'noRoom' {
    for (let i = 0; i < most; i++) {
      const record = peer.reader.peek();
      if (record.length === 0) return 'nothing';
      if (!this.#take(tag, peer, record)) return 'noRoom';
      peer.reader.release(record.length);
    }
    return 'more';
  }

  /** False: the guest has no room. What is no frame is dropped. */
  #take(tag: number, peer: SwitchPeer, record: Uint8Array): boolean {
    const { uplink } = this.#holder;
    const lengthBytes = record.length - OFFLOAD_HEADER_BYTES;
    if (!this.#check(record, lengthBytes)) return true;
    if (uplink === undefined) {
      if (!this.#deliver(record)) return false;
    } else {
      const target = this.#targetOf(this.#head, OFFLOAD_HEADER_BYTES);
      if (target === undefined || target === GUEST) this.#deliverOrKeep(uplink, record);
      if (target === undefined || target === UPLINK)
        this.#sent(uplink.forward(this.#port.message, record, this.#head));
    }
    peer.framesIn++;
    peer.bytesIn += lengthBytes;
    this.#learn(this.#head, OFFLOAD_HEADER_BYTES, tag);
    return true;
  }

  /** Its head is in `#head` then, and what it leaves to the receiver in `#offload`. */
  #check(record: Uint8Array, lengthBytes: number): boolean {
    if (lengthBytes >= ETHER_HDR_LEN) {
      this.#head.set(record.subarray(0, this.#head.length));
      if (readOffload(this.#headView, lengthBytes, this.#offload)) return true;
    }
    this.#port.drop('malformed');
    return false;
  }

  /** False: the guest has no room. */
  #deliver(record: Uint8Array): boolean {
    const port = this.#port;
    if (port.isCut) {
      port.drop('linkDown');
      return true;
    }
    const delivery = this.#offloads.deliver(port, record.subarray(OFFLOAD_HEADER_BYTES), this.#offload);
    if (delivery === 'malformed') port.drop('malformed');
    return delivery !== 'noRoom';
  }

  // The uplink, when it is ours.

  /** True: there is more. */
  #receiveUplink(most: number): boolean {
    const { uplink } = this.#holder;
    if (uplink === undefined) return false;
    const isMore = this.#deliverKept(uplink, most);
    for (let i = 0; i < most && uplink.isReadable; i++) {
      const recordBytes = uplink.receive(this.#port.message);
      if (recordBytes < 0) uplink.isReadable = false;
      if (recordBytes === -EBADFD) this.#loseUplink(true);
      if (recordBytes < 0) break;
      this.#bring(uplink, uplink.record.subarray(0, recordBytes));
    }
    this.onSent();
    return isMore || uplink.isReadable;
  }

  /** Frames of the host's network, for whoever they are. */
  #bring(uplink: Uplink, record: Uint8Array): void {
    const isCut = record.length > MAX_RECORD_BYTES;
    if (isCut || !this.#check(record, record.length - OFFLOAD_HEADER_BYTES)) return;
    this.#learn(this.#head, OFFLOAD_HEADER_BYTES, UPLINK);
    const target = this.#targetOf(this.#head, OFFLOAD_HEADER_BYTES);
    const peer = target === undefined ? undefined : this.#peers.get(target);
    if (peer !== undefined) return this.#pass(peer, record);
    if (target === UPLINK) return;
    if (target === undefined) for (const it of this.#peers.values()) this.#pass(it, record);
    this.#deliverOrKeep(uplink, record);
  }

  #pass(peer: SwitchPeer, record: Uint8Array): void {
    const room = this.#roomAt(peer, record.length, this.#offload.gsoType);
    if (room === undefined) return;
    room.set(record);
    peer.publish(record.length);
  }

  /** In order: what waits already is first. */
  #deliverOrKeep(uplink: Uplink, record: Uint8Array): void {
    if (uplink.inbox.peek().length === 0 && this.#deliver(record)) return;
    if (!uplink.keep(record)) this.#port.drop('noRoom');
  }

  /** True: there is more that the guest has room for. */
  #deliverKept(uplink: Uplink, most: number): boolean {
    for (let i = 0; i < most; i++) {
      const record = uplink.inbox.peek();
      if (record.length === 0) return false;
      if (this.#check(record, record.length - OFFLOAD_HEADER_BYTES) && !this.#deliver(record)) return false;
      uplink.inbox.release(record.length);
    }
    return true;
  }

  #sent(result: number): void {
    if (result >= 0) return;
    this.#port.drop(result === -EINVAL ? 'malformed' : result === -EIO ? 'linkDown' : 'hostBusy');
    if (result === -EBADFD) this.#loseUplink(true);
  }

  /** `isDeleted`: its interface was. */
  #loseUplink(isDeleted = false): void {
    const { uplink } = this.#holder;
    if (uplink === undefined) return;
    this.#port.poller.remove(uplink.fd);
    this.#macs.removePort(UPLINK);
    if (isDeleted) this.#holder.lose();
    else this.#holder.close();
  }

  // Members.

  #connect(id: string): void {
    const address = { family: 'unix', path: path.join(this.#opened.folder, id) } as const;
    const fd = openSocket(AF_UNIX, SOCK_SEQPACKET);
    if (fd < 0) return;
    const result = connectSocket(fd, address);
    if (result === 0) return this.#meet(fd, true);
    closeFd(fd);
    // Others live: whoever is slow to accept (EAGAIN), and whose path is longer by our name of the folder.
    if (result === -ECONNREFUSED) removeDead(address.path);
  }

  #accept(): void {
    let fd = acceptFrom(this.#opened.fd);
    for (; fd >= 0; fd = acceptFrom(this.#opened.fd)) this.#meet(fd, false);
    // The host has no descriptor left just now, and nothing tells when it has: who came waits.
    this.#isAcceptDue = fd !== -EAGAIN;
    if (this.#isAcceptDue) this.#port.arm(ACCEPT_MS);
  }

  #meet(fd: number, isOurs: boolean): void {
    const peer = this.#peers.size < MAX_PEERS ? SwitchPeer.meet(fd, isOurs) : undefined;
    if (!(peer instanceof SwitchPeer)) return closeFd(fd);
    const tag = this.#nextTag++;
    this.#peers.set(tag, peer);
    this.#tags = [...this.#peers.keys()];
    const { id, vm, mtu } = this.#opened;
    const greeting: Greeting = { version: SWITCH_VERSION, id, vm, lladdr: this.#lladdr, mtu };
    if (peer.greet(greeting) < 0) return this.#part(tag);
    this.#port.poller.add(fd, tag, EPOLLIN | EPOLLRDHUP | EPOLLET);
  }

  #hear(tag: number): void {
    const peer = this.#peers.get(tag);
    if (peer === undefined) return;
    for (;;) {
      const heard = peer.hear(this.#port.message);
      if (heard === 'nothing') return;
      if (heard === 'woken') return this.#receive();
      if (heard === 'gone') return this.#leave(tag);
      if (heard !== 'greeted') return this.#part(tag, heard.refused);
      if (!this.#keepOne(tag, peer)) return;
      this.#tellOfTwin(peer);
      if (peer.reader.wait()) signalEventFd(this.#bellFd); // it may have been faster
    }
  }

  /** Two that joined at once have met twice: the connection of the lesser id stays. False: not this one. */
  #keepOne(tag: number, peer: SwitchPeer): boolean {
    const { greeting } = peer;
    const again = [...this.#peers].find(([it, other]) => it !== tag && other.greeting?.id === greeting?.id);
    if (again === undefined || greeting === undefined) return true;
    if (again[1].pid !== peer.pid) {
      this.#part(tag, 'it has the name of another member');
      return false;
    }
    const isKept = peer.isOurs === this.#opened.id < greeting.id;
    this.#leave(isKept ? again[0] : tag);
    return isKept;
  }

  /** Once, whatever a member does: the other one tells its own user. */
  #tellOfTwin({ greeting }: SwitchPeer): void {
    if (greeting?.lladdr !== this.#lladdr || this.#isTwinTold) return;
    this.#isTwinTold = true;
    this.#port.trouble(
      `the VM ${JSON.stringify(greeting.vm)} on this switch has the Ethernet address of ${this.#port.name}, ` +
        `${this.#lladdr}: frames for the one reach the other; give one of them its own, by "mac", or "lladdr" in vm.conf`,
    );
  }

  /** A driver may have changed it. */
  get #lladdr(): string {
    return macText(macKey(this.#port.mac, 0));
  }

  /** It has said all that it had to say: what of that is in its ring yet is for the guest. */
  #leave(tag: number): void {
    const peer = this.#peers.get(tag);
    if (peer !== undefined) this.#drain(tag, peer, LAST_FRAMES);
    this.#part(tag);
  }

  #part(tag: number, why?: string): void {
    const peer = this.#peers.get(tag);
    if (peer === undefined) return;
    if (why !== undefined) log.guest(this.#port.name, 'parted from a member of the switch', { why });
    this.#peers.delete(tag);
    this.#tags = [...this.#peers.keys()];
    this.#macs.removePort(tag);
    this.#port.poller.remove(peer.fd);
    peer.close();
    if (!this.#isClosed) this.#holder.memberGone();
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
function fits(lengthBytes: number, gsoType: number, mtu: number): boolean {
  const vlanBytes = 4;
  return gsoType !== VIRTIO_NET_HDR_GSO_NONE || lengthBytes <= mtu + ETHER_HDR_LEN + vlanBytes;
}
