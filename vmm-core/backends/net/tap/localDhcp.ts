/**
 * The DHCP server of a private link: answers the guest in place of the host, which need not have one. The
 * guest has its one address for ever; the host's end is its router and name server. On the I/O thread.
 */
import { IPPROTO_UDP } from '../../../abi/inet.ts';
import { ETHERTYPE_IP, UDPHDR_BYTES, UDPHDR_CHECK } from '../../../abi/packets.ts';
import type { GuestFrame, GuestPort } from '../netLink.ts';
import { noOffload } from '../offloadHeader.ts';
import { answerDhcp, type DhcpReply, type DhcpSettings, addressNumber } from '../user/dhcp.ts';
import { Leases } from '../user/leases.ts';
import { checksumOf, fold, sumOf } from '../user/packet/checksum.ts';
import { IpPacket } from '../user/packet/ipPacket.ts';
import { PacketHeaders } from '../user/packet/packetHeaders.ts';
import { UdpDatagram } from '../user/packet/udpDatagram.ts';
import { LOCAL_MASK } from './localAddresses.ts';
import type { Answerer } from './tapLink.ts';

export interface LocalEnds {
  readonly host: Uint8Array;
  readonly guest: Uint8Array;
  /** Of the host's end. */
  readonly hostMac: Uint8Array;
  readonly hostname: string;
}

const SERVER_PORT = 67; // RFC 2131 §4.1
const CLIENT_PORT = 68;
/** More than any client sends. */
const MAX_REQUEST_BYTES = 2048;
const FOR_EVER = 0xffff_ffff; // §3.3
const BROADCAST = Uint8Array.of(255, 255, 255, 255);
const ETHERNET_BROADCAST = Uint8Array.of(255, 255, 255, 255, 255, 255);
const NO_OFFLOAD = noOffload();

export class LocalDhcp implements Answerer {
  readonly #port: GuestPort;
  readonly #ends: LocalEnds;
  readonly #settings: DhcpSettings;
  readonly #leases: Leases;
  readonly #packet = new IpPacket();
  readonly #datagram = new UdpDatagram();
  readonly #headers = new PacketHeaders();

  constructor(port: GuestPort, ends: LocalEnds) {
    const { host, guest, hostname } = ends;
    this.#port = port;
    this.#ends = ends;
    this.#settings = {
      ...{ server: host, router: host, dns: host, mask: LOCAL_MASK, broadcast: BROADCAST },
      ...{ hostname, search: [], mtu: port.mtu, leaseSeconds: FOR_EVER },
    };
    this.#leases = new Leases(addressNumber(guest, 0), 1, FOR_EVER);
  }

  answer(frame: GuestFrame): boolean {
    const packet = this.#packet;
    const datagram = this.#datagram;
    if (packet.read(frame) !== 'ip' || packet.etherType !== ETHERTYPE_IP || packet.isFragment) return false;
    if (packet.protocol !== IPPROTO_UDP || !datagram.read(packet)) return false;
    if (datagram.destinationPort !== SERVER_PORT || datagram.dataBytes > MAX_REQUEST_BYTES) return false;
    if (!packet.isTo(BROADCAST) && !packet.isTo(this.#ends.host)) return false;
    // There is one guest, and one address: whatever MAC address it had before, it is the guest's.
    this.#leases.clear();
    const request = new Uint8Array(datagram.dataBytes);
    frame.copyTo(request, datagram.dataAt);
    const reply = answerDhcp(request, this.#settings, this.#leases, performance.now());
    if (reply !== undefined) this.#send(reply);
    return true;
  }

  /** The guest that has no room for it asks again. */
  #send({ message, to }: DhcpReply): void {
    const port = this.#port;
    const headers = this.#headers;
    const payloadBytes = UDPHDR_BYTES + message.length;
    headers.ethernet(to === undefined ? ETHERNET_BROADCAST : port.mac, this.#ends.hostMac);
    headers.ip(this.#ends.host, to ?? BROADCAST, IPPROTO_UDP, payloadBytes);
    headers.udp(SERVER_PORT, CLIENT_PORT, message.length);
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    const sum = headers.pseudoSum(payloadBytes) + headers.transportSum() + sumOf(view, 0, message.length);
    headers.setChecksum(UDPHDR_CHECK, checksumOf(fold(sum)) || 0xffff); // RFC 768: 0 says that there is none
    const lengthBytes = headers.end + message.length;
    if (!port.reserve(lengthBytes)) return port.drop('noRoom');
    port.write(0, headers.bytes.subarray(0, headers.end));
    port.write(headers.end, message);
    port.commit(lengthBytes, NO_OFFLOAD);
  }
}
