/** Where things are in an Ethernet frame, whichever way it goes. Any thread. */
import { ETHER_HDR_LEN, ETHER_TYPE, ETHERTYPE_VLAN } from '../../abi/packets.ts';

/** IEEE 802.1Q §9.6: behind the addresses, before the type. */
const VLAN_TAG_BYTES = 4;

/** Behind the type, and one tag where there is one: guests leave segments of a VLAN to others. */
export function payloadOffset(head: Uint8Array): number {
  const type = ((head[ETHER_TYPE] ?? 0) << 8) | (head[ETHER_TYPE + 1] ?? 0);
  return type === ETHERTYPE_VLAN ? ETHER_HDR_LEN + VLAN_TAG_BYTES : ETHER_HDR_LEN;
}
