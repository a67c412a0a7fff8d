/**
 * Automatic receive steering (virtio 1.2 §5.1.6.5.6): on which pair of queues the guest has sent of a flow,
 * so that what comes of the flow comes on the same one, to the CPU that waits for it. A flow is two
 * addresses and, of TCP and UDP, two ports, in either order. Flows that meet in an entry share it: whoever
 * fills the table with nonsense makes a guest slower that takes part in it, no more.
 */
import { IPPROTO_TCP, IPPROTO_UDP } from '../../../abi/inet.ts';
import {
  ETHERTYPE_IP,
  ETHERTYPE_IPV6,
  IP6_HDR_BYTES,
  IP6_HDR_IP6_DST,
  IP6_HDR_IP6_NXT,
  IP6_HDR_IP6_SRC,
  IP_MF,
  IP_OFFMASK,
  IPHDR_DADDR,
  IPHDR_FRAG_OFF,
  IPHDR_PROTOCOL,
  IPHDR_SADDR,
} from '../../../abi/packets.ts';
import { payloadOffset } from '../../../backends/net/etherFrame.ts';

/** 4096 entries: more connections than a guest has busy at once. */
const ENTRY_BITS = 12;
const TYPE_BYTES = 2;
const ADDRESS_WORDS_V6 = 4;
/** 2^32 by the golden ratio: neighbours end up far apart. */
const SPREAD = 0x9e3779b1;
const NO_FLOW = -1;

export class FlowTable {
  /** By entry: the pair, and one; 0: the guest has not sent yet. */
  readonly #pairs = new Uint8Array(1 << ENTRY_BITS);

  /** The guest has sent a frame that begins so. */
  learn(head: Uint8Array, pair: number): void {
    const entry = entryOf(head);
    if (entry !== NO_FLOW) this.#pairs[entry] = pair + 1;
  }

  /** For a frame that begins so. Of a flow that is not known, any of the `pairs`, but always the same. */
  pairOf(head: Uint8Array, pairs: number): number {
    const entry = entryOf(head);
    if (entry === NO_FLOW) return 0;
    const known = this.#pairs[entry] ?? 0;
    return known === 0 ? entry % pairs : known - 1;
  }
}

/** NO_FLOW: it is not IP. What is not there of a header counts as zeros. */
function entryOf(head: Uint8Array): number {
  const ip = payloadOffset(head);
  switch (half(head, ip - TYPE_BYTES)) {
    case ETHERTYPE_IP: {
      const addresses = word(head, ip + IPHDR_SADDR) ^ word(head, ip + IPHDR_DADDR);
      // Only the first fragment has ports.
      const isFragment = (half(head, ip + IPHDR_FRAG_OFF) & (IP_MF | IP_OFFMASK)) !== 0;
      const portsAt = ip + ((head[ip] ?? 0) & 0xf) * 4;
      return entry(addresses, isFragment ? 0 : ports(head, head[ip + IPHDR_PROTOCOL], portsAt));
    }
    case ETHERTYPE_IPV6: {
      let addresses = 0;
      for (let i = 0; i < ADDRESS_WORDS_V6; i++) {
        const both = word(head, ip + IP6_HDR_IP6_SRC + 4 * i) ^ word(head, ip + IP6_HDR_IP6_DST + 4 * i);
        addresses = Math.imul(addresses, SPREAD) + both;
      }
      return entry(addresses, ports(head, head[ip + IP6_HDR_IP6_NXT], ip + IP6_HDR_BYTES));
    }
    default:
      return NO_FLOW;
  }
}

function entry(addresses: number, ports: number): number {
  const both = Math.imul(addresses, SPREAD) ^ ports;
  return Math.imul(both ^ (both >>> 16), SPREAD) >>> (32 - ENTRY_BITS);
}

/** 0: the protocol has none. */
function ports(head: Uint8Array, protocol: number | undefined, at: number): number {
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return 0;
  return half(head, at) ^ half(head, at + 2);
}

function half(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function word(bytes: Uint8Array, at: number): number {
  return (half(bytes, at) << 16) | half(bytes, at + 2);
}
