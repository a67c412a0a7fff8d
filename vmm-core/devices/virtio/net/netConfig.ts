/** The configuration space of a network interface, virtio 1.2 §5.1.4, and Ethernet addresses as text. */
import {
  ETH_ALEN,
  VIRTIO_NET_S_ANNOUNCE,
  VIRTIO_NET_S_LINK_UP,
  VirtioNetConfig,
} from '../../../abi/virtioNet.ts';
import { parseLladdr } from '../../../config/values.ts';
import type { Decoded } from '../../../protocol/devices.ts';

const { status } = VirtioNetConfig.fields;
/** §5.1.4: what both sides assume without VIRTIO_NET_F_MTU. */
export const DEFAULT_MTU = 1500;

export interface NetConfigValues {
  readonly mac: Uint8Array;
  readonly isUp: boolean;
  readonly pairs: number;
  readonly mtu: number;
}

/** As it is after a reset. */
export function configOf({ mac, isUp, pairs, mtu }: NetConfigValues): Uint8Array {
  const bytes = VirtioNetConfig.bytes({
    status: isUp ? VIRTIO_NET_S_LINK_UP : 0,
    max_virtqueue_pairs: pairs,
    mtu,
  });
  bytes.set(mac);
  return bytes;
}

/** Writes the link's state. `isToAnnounce`: the driver shall tell the network where it is (§5.1.6.5.4). */
export function setLink(config: Uint8Array, isUp: boolean, isToAnnounce: boolean): void {
  const bits = (isUp ? VIRTIO_NET_S_LINK_UP : 0) | (isToAnnounce ? VIRTIO_NET_S_ANNOUNCE : 0);
  config[status.offset] = bits;
}

export function clearAnnounce(config: Uint8Array): void {
  config[status.offset] = (config[status.offset] ?? 0) & ~VIRTIO_NET_S_ANNOUNCE;
}

/**
 * By the legacy interface a driver writes its address byte by byte (§5.1.4.3). With VERSION_1 the space is
 * read-only.
 */
export function writeConfig(config: Uint8Array, offset: number, sizeBytes: number, value: number): void {
  if (offset + sizeBytes > ETH_ALEN) return;
  for (let i = 0; i < sizeBytes; i++) config[offset + i] = (value >>> (8 * i)) & 0xff;
}

/** For the inspector, by the names of the header. */
export function decodeConfig(config: Uint8Array): Decoded {
  const copy = config.slice();
  return { mac: macText(copy), ...VirtioNetConfig.read(new DataView(copy.buffer)) };
}

export function macText(bytes: Uint8Array): string {
  return [...bytes.subarray(0, ETH_ALEN)].map((it) => it.toString(16).padStart(2, '0')).join(':');
}

/** Of a text that the configuration's checks have let pass. */
export function macBytes(text: string): Uint8Array {
  return Uint8Array.from(parseLladdr(text) ?? []);
}

/** FNV-1a. */
const HASH_START = 0x811c9dc5;
const HASH_FACTOR = 0x01000193;

/**
 * For an interface that was given none, in vmd's form, locally administered: fe:e1:bb:dN:xx:xx, N the
 * interface's number, the rest by its owner. Of a VM with a name of its own it is the same at every start, so
 * that a guest knows its network again.
 */
export function ownLladdr(owner: string, index: number): string {
  let hash = HASH_START;
  for (const byte of new TextEncoder().encode(owner)) hash = Math.imul(hash ^ byte, HASH_FACTOR);
  const folded = (hash ^ (hash >>> 16)) & 0xffff;
  return macText(Uint8Array.of(0xfe, 0xe1, 0xbb, 0xd0 + (index & 0xf), folded >>> 8, folded & 0xff));
}
