/**
 * Commands of the driver on the control queue (virtio 1.2 §5.1.6.5): each is copied, checked and then done,
 * or answered with an error and left alone. On the thread that serves the interface.
 */
import * as abi from '../../../abi/virtioNet.ts';
import { DescriptorChain } from '../descriptorChain.ts';
import type { VirtQueue } from '../queue.ts';
import type { RamCopy } from '../ramCopy.ts';
import { type MacFilter, RECEIVE } from './macFilter.ts';
import { MAX_ADDRESSES } from './netState.ts';
import { Pieces } from './pieces.ts';

export interface ControlHost {
  readonly queue: VirtQueue;
  readonly filter: MacFilter;
  readonly hasFeature: (bit: number) => boolean;
  readonly setMac: (mac: Uint8Array) => void;
  /** The driver has announced itself. */
  readonly announced: () => void;
  /** False: there are not so many. */
  readonly setPairs: (pairs: number) => boolean;
  /** Feature bits in two words. False: one of them was not negotiated, or is none of these. */
  readonly setGuestOffloads: (low: number, high: number) => boolean;
  /** A command was answered. */
  readonly count: (isDone: boolean) => void;
  readonly notifyUsed: () => void;
  /** See VirtioPort. */
  readonly fail: (rule: string) => void;
}

/** In one go. */
const MAX_COMMANDS = 64;
const HEADER_BYTES = abi.VirtioNetCtrlHdr.size;
const TABLE_HEADER_BYTES = abi.VirtioNetCtrlMac.size;
const GROUP_BIT = 1;
const MAX_VLAN = 4095;

/** By command of VIRTIO_NET_CTRL_RX. */
const MODES: Readonly<Record<number, { readonly mask: number; readonly feature: number }>> = {
  [abi.VIRTIO_NET_CTRL_RX_PROMISC]: { mask: RECEIVE.promiscuous, feature: abi.VIRTIO_NET_F_CTRL_RX },
  [abi.VIRTIO_NET_CTRL_RX_ALLMULTI]: { mask: RECEIVE.allMulticast, feature: abi.VIRTIO_NET_F_CTRL_RX },
  [abi.VIRTIO_NET_CTRL_RX_ALLUNI]: { mask: RECEIVE.allUnicast, feature: abi.VIRTIO_NET_F_CTRL_RX_EXTRA },
  [abi.VIRTIO_NET_CTRL_RX_NOMULTI]: { mask: RECEIVE.noMulticast, feature: abi.VIRTIO_NET_F_CTRL_RX_EXTRA },
  [abi.VIRTIO_NET_CTRL_RX_NOUNI]: { mask: RECEIVE.noUnicast, feature: abi.VIRTIO_NET_F_CTRL_RX_EXTRA },
  [abi.VIRTIO_NET_CTRL_RX_NOBCAST]: { mask: RECEIVE.noBroadcast, feature: abi.VIRTIO_NET_F_CTRL_RX_EXTRA },
};

export class ControlQueue {
  readonly #host: ControlHost;
  readonly #chain = new DescriptorChain();
  readonly #data: Pieces;
  readonly #answer: Pieces;
  /** What a command says, or as much of a table as is kept. */
  readonly #bytes = new Uint8Array(MAX_ADDRESSES * abi.ETH_ALEN);
  readonly #view = new DataView(this.#bytes.buffer);
  #dataBytes = 0;

  constructor(host: ControlHost, ram: RamCopy) {
    this.#host = host;
    this.#data = new Pieces(ram, this.#chain.gpa, this.#chain.length);
    this.#answer = new Pieces(ram, this.#chain.gpa, this.#chain.length);
  }

  /** True: there may be more. */
  onKick(): boolean {
    const { queue, count, notifyUsed } = this.#host;
    let left = MAX_COMMANDS;
    while (left > 0 && queue.pop(this.#chain)) {
      left--;
      const { head, readable, segments, readableBytes, writableBytes } = this.#chain;
      if (readableBytes < HEADER_BYTES || writableBytes < 1) {
        this.#host.fail('§5.1.6.5: a command without a header or room for the answer');
        return false;
      }
      this.#data.begin(0, readable);
      this.#dataBytes = readableBytes - HEADER_BYTES;
      const isDone = this.#obey();
      this.#answer.begin(readable, segments);
      this.#view.setUint8(0, isDone ? abi.VIRTIO_NET_OK : abi.VIRTIO_NET_ERR);
      this.#answer.fromView(0, this.#view, 0, 1);
      count(isDone);
      queue.push(head, 1);
    }
    if (left < MAX_COMMANDS) notifyUsed();
    return left === 0;
  }

  #obey(): boolean {
    const { hasFeature, filter, setPairs, announced } = this.#host;
    this.#data.toView(0, this.#view, 0, HEADER_BYTES);
    const command = this.#view.getUint8(abi.VirtioNetCtrlHdr.fields.cmd.offset);
    switch (this.#view.getUint8(0)) {
      case abi.VIRTIO_NET_CTRL_RX:
        return this.#setMode(command);
      case abi.VIRTIO_NET_CTRL_MAC:
        return this.#setAddresses(command);
      case abi.VIRTIO_NET_CTRL_VLAN: {
        const isAdd = command === abi.VIRTIO_NET_CTRL_VLAN_ADD;
        if (!hasFeature(abi.VIRTIO_NET_F_CTRL_VLAN) || !(isAdd || command === abi.VIRTIO_NET_CTRL_VLAN_DEL))
          return false;
        if (!this.#copy(2) || this.#view.getUint16(0, true) > MAX_VLAN) return false;
        filter.setVlan(this.#view.getUint16(0, true), isAdd);
        return true;
      }
      case abi.VIRTIO_NET_CTRL_ANNOUNCE:
        if (!hasFeature(abi.VIRTIO_NET_F_GUEST_ANNOUNCE) || command !== abi.VIRTIO_NET_CTRL_ANNOUNCE_ACK)
          return false;
        announced();
        return true;
      case abi.VIRTIO_NET_CTRL_MQ:
        if (!hasFeature(abi.VIRTIO_NET_F_MQ) || command !== abi.VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET) return false;
        return this.#copy(abi.VirtioNetCtrlMq.size) && setPairs(this.#view.getUint16(0, true));
      case abi.VIRTIO_NET_CTRL_GUEST_OFFLOADS:
        return this.#setOffloads(command);
      default:
        return false;
    }
  }

  #setMode(command: number): boolean {
    const mode = MODES[command];
    if (mode === undefined || !this.#host.hasFeature(mode.feature) || !this.#copy(1)) return false;
    const value = this.#view.getUint8(0);
    if (value > 1) return false;
    this.#host.filter.setMode(mode.mask, value === 1);
    return true;
  }

  #setAddresses(command: number): boolean {
    const { hasFeature } = this.#host;
    switch (command) {
      case abi.VIRTIO_NET_CTRL_MAC_TABLE_SET:
        return hasFeature(abi.VIRTIO_NET_F_CTRL_RX) && this.#setTables();
      case abi.VIRTIO_NET_CTRL_MAC_ADDR_SET: {
        if (!hasFeature(abi.VIRTIO_NET_F_CTRL_MAC_ADDR) || !this.#copy(abi.ETH_ALEN)) return false;
        const mac = this.#bytes.subarray(0, abi.ETH_ALEN);
        if (((mac[0] ?? 0) & GROUP_BIT) !== 0 || mac.every((it) => it === 0)) return false;
        this.#host.setMac(mac);
        return true;
      }
      default:
        return false;
    }
  }

  /** §5.1.6.5.2: unicast, then multicast. Nothing is set unless both are there. */
  #setTables(): boolean {
    const unicast = this.#entriesAt(0);
    if (unicast < 0) return false;
    const multicastAt = TABLE_HEADER_BYTES + unicast * abi.ETH_ALEN;
    const multicast = this.#entriesAt(multicastAt);
    if (multicast < 0 || multicastAt + TABLE_HEADER_BYTES + multicast * abi.ETH_ALEN !== this.#dataBytes)
      return false;
    this.#setTable(false, unicast, 0);
    this.#setTable(true, multicast, multicastAt);
    return true;
  }

  /** Of the table at that byte of the command's data; -1: it is not all there. */
  #entriesAt(at: number): number {
    if (at + TABLE_HEADER_BYTES > this.#dataBytes) return -1;
    this.#data.toView(HEADER_BYTES + at, this.#view, 0, TABLE_HEADER_BYTES);
    const entries = this.#view.getUint32(0, true);
    return at + TABLE_HEADER_BYTES + entries * abi.ETH_ALEN <= this.#dataBytes ? entries : -1;
  }

  #setTable(isMulticast: boolean, entries: number, at: number): void {
    const lengthBytes = Math.min(entries, MAX_ADDRESSES) * abi.ETH_ALEN;
    this.#data.toView(HEADER_BYTES + at + TABLE_HEADER_BYTES, this.#view, 0, lengthBytes);
    this.#host.filter.setTable(isMulticast, entries, this.#bytes);
  }

  #setOffloads(command: number): boolean {
    const { hasFeature, setGuestOffloads } = this.#host;
    if (!hasFeature(abi.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)) return false;
    if (command !== abi.VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || !this.#copy(8)) return false;
    return setGuestOffloads(this.#view.getUint32(0, true), this.#view.getUint32(4, true));
  }

  /** The command's data, all of which is so long. */
  #copy(lengthBytes: number): boolean {
    if (this.#dataBytes !== lengthBytes) return false;
    this.#data.toView(HEADER_BYTES, this.#view, 0, lengthBytes);
    return true;
  }
}
