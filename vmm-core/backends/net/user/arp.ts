/** ARP (RFC 826): answers for our own addresses only, and learns what the guest says of itself. */
import {
  ARP_BYTES,
  ARP_HLN,
  ARP_HRD,
  ARP_OP,
  ARP_PLN,
  ARP_PRO,
  ARP_SHA,
  ARP_SPA,
  ARP_THA,
  ARP_TPA,
  ARPHRD_ETHER,
  ARPOP_REPLY,
  ARPOP_REQUEST,
} from '../../../abi/arp.ts';
import { ETHER_ADDR_LEN, ETHER_HDR_LEN, ETHERTYPE_ARP, ETHERTYPE_IP } from '../../../abi/packets.ts';
import type { Neighbours } from './neighbours.ts';

export const ARP_FRAME_BYTES = ETHER_HDR_LEN + ARP_BYTES;

/**
 * `frame` has at least ARP_FRAME_BYTES. Writes the answer to `reply`, which has as many; false: there is
 * none. A probe or announcement (RFC 5227) is a request of the guest for its own address, and never answered.
 */
export function answerArp(
  frame: Uint8Array,
  ourMac: Uint8Array,
  neighbours: Neighbours,
  reply: Uint8Array,
): boolean {
  const at = ETHER_HDR_LEN;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint16(at + ARP_HRD) !== ARPHRD_ETHER || view.getUint16(at + ARP_PRO) !== ETHERTYPE_IP)
    return false;
  if (view.getUint8(at + ARP_HLN) !== ETHER_ADDR_LEN || view.getUint8(at + ARP_PLN) !== 4) return false;
  const sender = frame.subarray(at + ARP_SPA, at + ARP_SPA + 4);
  const senderMac = frame.subarray(at + ARP_SHA, at + ARP_SHA + ETHER_ADDR_LEN);
  const target = frame.subarray(at + ARP_TPA, at + ARP_TPA + 4);
  neighbours.learn(sender, senderMac);
  if (view.getUint16(at + ARP_OP) !== ARPOP_REQUEST || !neighbours.isOurs(target)) return false;
  writeArp(reply, ARPOP_REPLY, ourMac, target, senderMac, sender);
  return true;
}

function writeArp(
  frame: Uint8Array,
  operation: number,
  mac: Uint8Array,
  address: Uint8Array,
  targetMac: Uint8Array,
  target: Uint8Array,
): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const at = ETHER_HDR_LEN;
  frame.set(targetMac, 0);
  frame.set(mac, ETHER_ADDR_LEN);
  view.setUint16(2 * ETHER_ADDR_LEN, ETHERTYPE_ARP);
  view.setUint16(at + ARP_HRD, ARPHRD_ETHER);
  view.setUint16(at + ARP_PRO, ETHERTYPE_IP);
  view.setUint8(at + ARP_HLN, ETHER_ADDR_LEN);
  view.setUint8(at + ARP_PLN, 4);
  view.setUint16(at + ARP_OP, operation);
  frame.set(mac, at + ARP_SHA);
  frame.set(address, at + ARP_SPA);
  frame.set(targetMac, at + ARP_THA);
  frame.set(target, at + ARP_TPA);
}
