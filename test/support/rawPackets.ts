/**
 * Frames made by hand, field by field from the RFCs, and read again: what the guest's side of a network sends
 * and sees. Nothing of it is the product's.
 */
import { Bytes } from './bytes.ts';

export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;
export const ICMPV6 = 58;

export interface RawIp {
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly protocol: number;
  readonly hopLimit?: number;
  /** Of IPv4. */
  readonly dontFragment?: boolean;
  /** Of a fragment. */
  readonly id?: number;
  readonly offset?: number;
  readonly more?: boolean;
}

/** As it stands in a frame that has arrived. */
export interface SeenPacket {
  readonly frame: Uint8Array;
  readonly etherType: number;
  readonly protocol: number;
  readonly from: string;
  readonly to: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** From the transport's header on. */
  readonly payload: Uint8Array;
  /** Of UDP: behind its header. */
  readonly data: Uint8Array;
  readonly hopLimit: number;
  readonly offset: number;
  readonly hasMore: boolean;
}

export function mac(text: string): number[] {
  return text.split(':').map((it) => parseInt(it, 16));
}

export function ip4(text: string): number[] {
  return text.split('.').map(Number);
}

/** All eight groups, or with a gap. */
export function ip6(text: string): number[] {
  const [left = '', right = ''] = text.split('::');
  const groups = (half: string): number[] =>
    half === '' ? [] : half.split(':').map((it) => parseInt(it, 16));
  const [head, tail] = [groups(left), groups(right)];
  const all = [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  return all.flatMap((it) => [it >> 8, it & 0xff]);
}

export function ethernet(
  to: readonly number[],
  from: readonly number[],
  type: number,
  payload: Uint8Array,
): Uint8Array {
  return new Bytes(false).bytes(to, from).u16(type).bytes(payload).done();
}

/** With its header; 0x0800 or 0x86dd is the type of its frame. */
export function ip(header: RawIp, payload: Uint8Array): Uint8Array {
  return header.from.length === 4 ? ipv4(header, payload) : ipv6(header, payload);
}

export function udp(from: number, to: number, data: Uint8Array): Uint8Array {
  return new Bytes(false)
    .u16(from, to, 8 + data.length, 0)
    .bytes(data)
    .done();
}

/** RFC 1071, as slow as it is plain. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Puts the checksum at `at` of a transport's header and data; ICMP of IPv4 has no pseudo-header. */
export function withChecksum(header: RawIp, payload: Uint8Array, at: number): Uint8Array {
  const bytes = payload.slice();
  bytes.fill(0, at, at + 2);
  const sum = checksum(header.protocol === ICMP ? bytes : withPseudoHeader(header, bytes));
  const value = sum === 0 && header.protocol === UDP ? 0xffff : sum;
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
  return bytes;
}

function withPseudoHeader({ from, to, protocol }: RawIp, payload: Uint8Array): Uint8Array {
  return new Bytes(false).bytes(from, to).u32(payload.length).u32(protocol).bytes(payload).done();
}

function ipv4(
  { from, to, protocol, hopLimit = 64, dontFragment = false, id = 0, offset = 0, more = false }: RawIp,
  payload: Uint8Array,
): Uint8Array {
  const header = new Bytes(false)
    .u8(0x45, 0)
    .u16(20 + payload.length, id, offset / 8 + (more ? 0x2000 : 0) + (dontFragment ? 0x4000 : 0))
    .u8(hopLimit, protocol)
    .u16(0)
    .bytes(from, to)
    .done();
  const sum = checksum(header);
  header[10] = sum >> 8;
  header[11] = sum & 0xff;
  return new Bytes(false).bytes(header, payload).done();
}

function ipv6(
  { from, to, protocol, hopLimit = 64, id = 0, offset = 0, more = false }: RawIp,
  payload: Uint8Array,
): Uint8Array {
  const isFragment = offset > 0 || more;
  const bytes = new Bytes(false)
    .u32(0x6000_0000)
    .u16(payload.length + (isFragment ? 8 : 0))
    .u8(isFragment ? 44 : protocol, hopLimit)
    .bytes(from, to);
  if (isFragment)
    bytes
      .u8(protocol, 0)
      .u16(offset | (more ? 1 : 0))
      .u32(id);
  return bytes.bytes(payload).done();
}

/** Throws where the headers are not right. */
export function seen(frame: Uint8Array): SeenPacket {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const etherType = view.getUint16(12);
  const base = { frame, etherType, protocol: -1, from: '', to: '', sourcePort: 0, destinationPort: 0 };
  if (etherType !== 0x0800 && etherType !== 0x86dd)
    return {
      ...base,
      payload: frame.subarray(14),
      data: frame.subarray(14),
      hopLimit: 0,
      offset: 0,
      hasMore: false,
    };
  return etherType === 0x0800 ? seenIpv4(view, base, frame) : seenIpv6(view, base, frame);
}

type Base = Pick<SeenPacket, 'frame' | 'etherType' | 'sourcePort' | 'destinationPort'>;

function seenIpv4(view: DataView, base: Base, frame: Uint8Array): SeenPacket {
  if (checksum(frame.subarray(14, 34)) !== 0) throw new Error('the checksum of the IP header is wrong');
  if (view.getUint16(16) !== frame.length - 14) throw new Error('the length of the IP packet is wrong');
  const word = view.getUint16(20);
  return {
    ...base,
    protocol: view.getUint8(23),
    from: frame.subarray(26, 30).join('.'),
    to: frame.subarray(30, 34).join('.'),
    hopLimit: view.getUint8(22),
    offset: (word & 0x1fff) * 8,
    hasMore: (word & 0x2000) !== 0,
    ...transport(frame.subarray(34), view.getUint8(23), (word & 0x1fff) > 0),
  };
}

function seenIpv6(view: DataView, base: Base, frame: Uint8Array): SeenPacket {
  if (view.getUint16(18) !== frame.length - 54) throw new Error('the length of the IP packet is wrong');
  const isFragment = view.getUint8(20) === 44;
  const protocol = isFragment ? view.getUint8(54) : view.getUint8(20);
  const word = isFragment ? view.getUint16(56) : 0;
  return {
    ...base,
    protocol,
    from: Buffer.from(frame.subarray(22, 38)).toString('hex'),
    to: Buffer.from(frame.subarray(38, 54)).toString('hex'),
    hopLimit: view.getUint8(21),
    offset: word & ~7,
    hasMore: (word & 1) !== 0,
    ...transport(frame.subarray(isFragment ? 62 : 54), protocol, (word & ~7) > 0),
  };
}

function transport(
  payload: Uint8Array,
  protocol: number,
  isLater: boolean,
): Pick<SeenPacket, 'payload' | 'data' | 'sourcePort' | 'destinationPort'> {
  if (protocol !== UDP || isLater || payload.length < 8)
    return { payload, data: payload, sourcePort: 0, destinationPort: 0 };
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return {
    payload,
    data: payload.subarray(8),
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
  };
}

/** Whether the transport's checksum, of a packet that is whole, holds. */
export function isSumRight(packet: SeenPacket): boolean {
  const hex = (text: string): number[] => [...Buffer.from(text, 'hex')];
  const isIpv4 = packet.etherType === 0x0800;
  const from = isIpv4 ? ip4(packet.from) : hex(packet.from);
  const to = isIpv4 ? ip4(packet.to) : hex(packet.to);
  const { protocol, payload } = packet;
  return checksum(protocol === ICMP ? payload : withPseudoHeader({ from, to, protocol }, payload)) === 0;
}
