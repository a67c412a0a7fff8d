/** The services of the virtual network that speak UDP: DHCP, DHCPv6 and TFTP. */
import {
  BOOTP_CHADDR,
  BOOTP_YIADDR,
  DHCP_CLIENT_PORT,
  DHCP_SERVER_PORT,
  DHCPV6_CLIENT_PORT,
  DHCPV6_SERVER_PORT,
} from '../../../abi/dhcp.ts';
import { IPPROTO_UDP } from '../../../abi/inet.ts';
import {
  ETHER_ADDR_LEN,
  ETHER_SHOST,
  UDPHDR_BYTES,
  UDPHDR_DEST,
  UDPHDR_LEN,
  UDPHDR_SOURCE,
} from '../../../abi/packets.ts';
import { TFTP_PORT } from '../../../abi/tftp.ts';
import { answerDhcp, type DhcpSettings } from './dhcp.ts';
import { answerDhcp6, type Dhcp6Settings } from './dhcp6.ts';
import { type GuestTables, LEASE_SECONDS } from './guestTables.ts';
import type { IpRoute } from './ipSender.ts';
import type { OutgoingDatagram } from './outgoingDatagram.ts';
import type { IpPacket } from './packet/ipPacket.ts';
import { TftpServer } from './tftp.ts';
import type { TftpTold } from './tftpFolder.ts';
import type { UserHost } from './userHost.ts';
import type { UserNews, UserOpened } from './userMessages.ts';

const BROADCAST = Uint8Array.of(255, 255, 255, 255);
const BROADCAST_MAC = new Uint8Array(ETHER_ADDR_LEN).fill(0xff);
/** RFC 8415 §7.1: All_DHCP_Relay_Agents_and_Servers. */
const ALL_DHCP6 = Uint8Array.of(0xff, 2, ...Array<number>(11).fill(0), 1, 0, 2);
/** No client sends more; what is larger is not copied. */
const MAX_REQUEST_BYTES = 1500;

export class UdpServices {
  readonly #host: UserHost;
  readonly #tables: GuestTables;
  readonly #dhcp: DhcpSettings;
  readonly #dhcp6: Dhcp6Settings | undefined;
  readonly tftp: TftpServer | undefined;

  constructor(host: UserHost, tables: GuestTables, opened: UserOpened, tell: (news: UserNews) => void) {
    const { network, isRestricted, hostname, bootfile, search, hasTftp } = opened;
    const { ipv4, ipv6, mtu, mac } = network;
    this.#host = host;
    this.#tables = tables;
    this.#dhcp = {
      server: ipv4.host,
      mask: ipv4.mask,
      broadcast: ipv4.broadcast,
      router: ipv4.host,
      ...(isRestricted ? {} : { dns: ipv4.dns }),
      ...(hostname === '' ? {} : { hostname }),
      search,
      mtu,
      leaseSeconds: LEASE_SECONDS,
      hasTftp,
      ...(bootfile === undefined ? {} : { bootfile }),
    };
    this.#dhcp6 = isRestricted ? undefined : { mac, dns: ipv6.dns, search };
    if (!hasTftp) return;
    const files = {
      open: (id: number, name: string): void => tell({ kind: 'tftpOpen', id, name }),
      read: (id: number): void => tell({ kind: 'tftpRead', id }),
      close: (id: number): void => tell({ kind: 'tftpClose', id }),
    };
    this.tftp = new TftpServer(
      files,
      (peer, from, bytes) => {
        const host4 = peer.address.length === 4 ? ipv4.host : ipv6.host;
        const route = { mac: tables.macOf(peer.address), to: peer.address, from: host4 };
        this.#send(route, from, peer.port, bytes);
      },
      mtu,
    );
  }

  /** A datagram of the guest. False: it is for none of these. */
  serve(packet: IpPacket, datagram: OutgoingDatagram): boolean {
    const { ipv4 } = this.#host.network;
    switch (datagram.destinationPort) {
      case DHCP_SERVER_PORT:
        if (
          packet.isIpv6 ||
          !(packet.isTo(BROADCAST) || packet.isTo(ipv4.broadcast) || packet.isTo(ipv4.host))
        )
          return false;
        this.#onDhcp(datagram);
        return true;
      case DHCPV6_SERVER_PORT:
        if (!packet.isTo(ALL_DHCP6)) return false; // RFC 8415 §16: by unicast it is for no server
        this.#onDhcp6(packet, datagram);
        return true;
      default:
        return this.#serveTftp(packet, datagram);
    }
  }

  onTftp(told: TftpTold): void {
    const { tftp } = this;
    const nowMs = this.#host.nowMs();
    switch (told.kind) {
      case 'tftpOpened':
        tftp?.opened(told.id, told.sizeBytes, nowMs);
        break;
      case 'tftpData':
        tftp?.data(told.id, told.bytes, nowMs);
        break;
      case 'tftpFailed':
        tftp?.failed(told.id, told.code, told.text);
    }
    this.#host.port.arm(TFTP_TIMER_MS);
  }

  onTimer(nowMs: number): number {
    return this.tftp?.onTimer(nowMs) ?? Infinity;
  }

  /** Leases stay: a guest that comes back after a reset asks for what it had. */
  reset(): void {
    this.tftp?.reset();
  }

  #onDhcp(datagram: OutgoingDatagram): void {
    if (datagram.dataBytes > MAX_REQUEST_BYTES) return this.#host.port.drop('malformed');
    const { leases, neighbours } = this.#tables;
    const reply = answerDhcp(datagram.bytes().slice(), this.#dhcp, leases, this.#host.nowMs());
    this.#tables.leasesChanged();
    if (reply === undefined) return;
    const { message, to } = reply;
    const mac = message.slice(BOOTP_CHADDR, BOOTP_CHADDR + ETHER_ADDR_LEN);
    neighbours.learn(message.slice(BOOTP_YIADDR, BOOTP_YIADDR + 4), mac);
    const route = {
      mac: to === undefined ? BROADCAST_MAC : mac,
      to: to ?? BROADCAST,
      from: this.#dhcp.server,
    };
    this.#send(route, DHCP_SERVER_PORT, DHCP_CLIENT_PORT, message);
  }

  #onDhcp6(packet: IpPacket, datagram: OutgoingDatagram): void {
    if (datagram.dataBytes > MAX_REQUEST_BYTES || this.#dhcp6 === undefined) return;
    const reply = answerDhcp6(datagram.bytes().slice(), this.#dhcp6);
    if (reply === undefined) return;
    const mac = packet.head.slice(ETHER_SHOST, ETHER_SHOST + ETHER_ADDR_LEN);
    const route = { mac, to: packet.source(), from: this.#host.network.ipv6.linkLocal };
    this.#send(route, DHCPV6_SERVER_PORT, DHCPV6_CLIENT_PORT, reply);
  }

  #serveTftp(packet: IpPacket, datagram: OutgoingDatagram): boolean {
    const { tftp } = this;
    const { ipv4, ipv6 } = this.#host.network;
    if (tftp === undefined || !packet.isTo(packet.isIpv6 ? ipv6.host : ipv4.host)) return false;
    const { sourcePort, destinationPort, dataBytes } = datagram;
    const isRequest = destinationPort === TFTP_PORT;
    if (!isRequest && tftp.count === 0) return false;
    const peer = { address: packet.source(), port: sourcePort };
    if (!isRequest && !tftp.hasTransfer(peer, destinationPort)) return false;
    if (dataBytes > MAX_REQUEST_BYTES) return true;
    const nowMs = this.#host.nowMs();
    this.#tables.neighbours.learn(peer.address, packet.head.slice(ETHER_SHOST, ETHER_SHOST + ETHER_ADDR_LEN));
    if (isRequest) tftp.onRequest(peer, datagram.bytes().slice(), nowMs);
    else tftp.onDatagram(peer, destinationPort, datagram.bytes().slice(), nowMs);
    if (tftp.count > 0) this.#host.port.arm(TFTP_TIMER_MS);
    return true;
  }

  #send(route: IpRoute, from: number, to: number, data: Uint8Array): void {
    const { reply, sender } = this.#host;
    const lengthBytes = UDPHDR_BYTES + data.length;
    reply.view.setUint16(UDPHDR_SOURCE, from);
    reply.view.setUint16(UDPHDR_DEST, to);
    reply.view.setUint16(UDPHDR_LEN, lengthBytes);
    reply.bytes.set(data, UDPHDR_BYTES);
    sender.send(route, IPPROTO_UDP, reply, lengthBytes);
  }
}

/** Looks what is due among the transfers; the shortest wait of theirs. */
const TFTP_TIMER_MS = 1000;
