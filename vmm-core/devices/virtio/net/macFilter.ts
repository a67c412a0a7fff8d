/**
 * Which frames the driver wants (virtio 1.2 §5.1.6.5.1 to §5.1.6.5.3): modes, tables of addresses, VLANs. All
 * of it is in the interface's registers, for the inspector; the service's thread alone writes it.
 */
import { ETHERTYPE_VLAN } from '../../../abi/packets.ts';
import { ETH_ALEN } from '../../../abi/virtioNet.ts';
import type { Registers } from '../../../bus/stateBlock.ts';
import type { Decoded } from '../../../protocol/devices.ts';
import { macText } from './netConfig.ts';
import { MAX_ADDRESSES, type NetState } from './netState.ts';

/** Of `receiveModes`, as masks. */
export const RECEIVE = {
  promiscuous: 1 << 0,
  allMulticast: 1 << 1,
  allUnicast: 1 << 2,
  noMulticast: 1 << 3,
  noUnicast: 1 << 4,
  noBroadcast: 1 << 5,
} as const;
/** Of `addressesCut`. */
const CUT = { unicast: 1, multicast: 2 } as const;

/** What `passes` looks at: two addresses, a type and a VLAN tag. */
export const FILTERED_BYTES = 18;
const TYPE_AT = 2 * ETH_ALEN;
const VLAN_ID = 0xfff;
const GROUP_BIT = 1;
const TABLE_BYTES = MAX_ADDRESSES * ETH_ALEN;

export class MacFilter {
  readonly #regs: Registers<NetState>;
  readonly #isLocked: boolean;
  #hasVlans = false;

  /** `isLocked`: what is for others never passes. */
  constructor(regs: Registers<NetState>, isLocked: boolean) {
    this.#regs = regs;
    this.#isLocked = isLocked;
  }

  /** The driver has reset the device, or begins: all frames pass until it says otherwise. */
  reset(hasVlans: boolean): void {
    this.#hasVlans = hasVlans;
    const regs = this.#regs;
    regs.receiveModes = RECEIVE.promiscuous;
    regs.unicastAddresses = regs.multicastAddresses = regs.addressesCut = 0;
    regs.addresses.fill(0);
    regs.vlans.fill(0);
  }

  setMode(mask: number, isOn: boolean): void {
    const before = this.#regs.receiveModes;
    this.#regs.receiveModes = isOn ? before | mask : before & ~mask;
  }

  /** A table of `entries` addresses, the first MAX_ADDRESSES of them in `bytes`. */
  setTable(isMulticast: boolean, entries: number, bytes: Uint8Array): void {
    const regs = this.#regs;
    const kept = Math.min(entries, MAX_ADDRESSES);
    regs.addresses.set(bytes.subarray(0, kept * ETH_ALEN), isMulticast ? TABLE_BYTES : 0);
    if (isMulticast) regs.multicastAddresses = kept;
    else regs.unicastAddresses = kept;
    const cut = isMulticast ? CUT.multicast : CUT.unicast;
    regs.addressesCut = entries > kept ? regs.addressesCut | cut : regs.addressesCut & ~cut;
  }

  setVlan(id: number, isOn: boolean): void {
    const { vlans } = this.#regs;
    const before = vlans[id >>> 3] ?? 0;
    const bit = 1 << (id & 7);
    vlans[id >>> 3] = isOn ? before | bit : before & ~bit;
  }

  /** False: all frames pass, whatever is in them. */
  get isActive(): boolean {
    return this.#isLocked || this.#hasVlans || this.#regs.receiveModes !== RECEIVE.promiscuous;
  }

  /** By the first FILTERED_BYTES of a frame, or all of it. */
  passes(frame: DataView, lengthBytes: number): boolean {
    const isGroup = (frame.getUint8(0) & GROUP_BIT) !== 0;
    if (this.#isLocked && !isGroup && !this.#isOwn(frame)) return false;
    if ((this.#regs.receiveModes & RECEIVE.promiscuous) !== 0) return true;
    if (this.#hasVlans && !this.#passesVlan(frame, lengthBytes)) return false;
    return isGroup ? this.#passesGroup(frame) : this.#passesUnicast(frame);
  }

  #passesVlan(frame: DataView, lengthBytes: number): boolean {
    if (lengthBytes < FILTERED_BYTES || frame.getUint16(TYPE_AT) !== ETHERTYPE_VLAN) return true;
    const id = frame.getUint16(TYPE_AT + 2) & VLAN_ID;
    return ((this.#regs.vlans[id >>> 3] ?? 0) & (1 << (id & 7))) !== 0;
  }

  #passesGroup(frame: DataView): boolean {
    const { receiveModes: modes, addressesCut, multicastAddresses } = this.#regs;
    const isBroadcast = frame.getUint32(0) === 0xffff_ffff && frame.getUint16(4) === 0xffff;
    if (isBroadcast) return (modes & RECEIVE.noBroadcast) === 0;
    if ((modes & RECEIVE.noMulticast) !== 0) return false;
    if ((modes & RECEIVE.allMulticast) !== 0 || (addressesCut & CUT.multicast) !== 0) return true;
    return this.#isListed(frame, TABLE_BYTES, multicastAddresses);
  }

  #passesUnicast(frame: DataView): boolean {
    const { receiveModes: modes, addressesCut, unicastAddresses } = this.#regs;
    if ((modes & RECEIVE.noUnicast) !== 0) return false;
    if ((modes & RECEIVE.allUnicast) !== 0 || (addressesCut & CUT.unicast) !== 0) return true;
    return this.#isOwn(frame) || this.#isListed(frame, 0, unicastAddresses);
  }

  #isOwn(frame: DataView): boolean {
    return isSame(frame, this.#regs.config, 0);
  }

  #isListed(frame: DataView, start: number, count: number): boolean {
    const { addresses } = this.#regs;
    for (let i = 0; i < count; i++) if (isSame(frame, addresses, start + i * ETH_ALEN)) return true;
    return false;
  }
}

function isSame(frame: DataView, addresses: Uint8Array, at: number): boolean {
  for (let i = 0; i < ETH_ALEN; i++) if (frame.getUint8(i) !== addresses[at + i]) return false;
  return true;
}

/** For the inspector. */
export function decodeFilter(regs: Registers<NetState>): Decoded {
  const listed = (start: number, count: number): string[] =>
    Array.from({ length: Math.min(count, MAX_ADDRESSES) }, (_, i) =>
      macText(regs.addresses.subarray(start + i * ETH_ALEN)),
    );
  const vlans = [...regs.vlans].flatMap((byte, i) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte & (1 << bit)) !== 0).map((bit) => 8 * i + bit),
  );
  return {
    modes: Object.entries(RECEIVE).flatMap(([name, mask]) =>
      (regs.receiveModes & mask) === 0 ? [] : [name],
    ),
    unicast: listed(0, regs.unicastAddresses),
    multicast: listed(TABLE_BYTES, regs.multicastAddresses),
    isTableCut: regs.addressesCut !== 0,
    vlans,
  };
}
