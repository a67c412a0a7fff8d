/**
 * The `user` network: a router, name server and boot server for one guest, with the host's sockets behind it.
 * Nothing of it needs a privilege. On the I/O thread; this file says which part a frame, a socket and a timer
 * belong to. What the guest sends is read from a private copy only, and all tables are bounded.
 */
import { ICMP_CHECKSUM } from '../../../abi/icmp.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../../../abi/inet.ts';
import {
  ETHER_ADDR_LEN,
  ETHER_DHOST,
  ETHERTYPE_ARP,
  IPPROTO_NONE,
  UDPHDR_BYTES,
  UDPHDR_CHECK,
  UDPHDR_DEST,
  UDPHDR_LEN,
  UDPHDR_SOURCE,
} from '../../../abi/packets.ts';
import { VIRTIO_NET_HDR_GSO_UDP, VIRTIO_NET_HDR_GSO_UDP_L4 } from '../../../abi/virtioNetHdr.ts';
import type { GuestFrame, GuestPort, LinkReport, NetLink } from '../netLink.ts';
import { ARP_FRAME_BYTES, answerArp } from './arp.ts';
import { Destinations } from './destinations.ts';
import { Fragments } from './fragments.ts';
import { GuestClock } from './guestClock.ts';
import { GuestTables } from './guestTables.ts';
import { IcmpErrors } from './icmpErrors.ts';
import { IcmpService } from './icmpService.ts';
import { IpSender } from './ipSender.ts';
import { Nameservers } from './nameservers.ts';
import { OutgoingDatagram } from './outgoingDatagram.ts';
import { PacketBuffer } from './packetBuffer.ts';
import { fold, GOOD_SUM, pseudoHeaderSum, sumOf } from './packet/checksum.ts';
import { IpPacket } from './packet/ipPacket.ts';
import { TransportChecksum } from './packet/transportChecksum.ts';
import { UdpDatagram } from './packet/udpDatagram.ts';
import { TcpForwards } from './tcpForwards.ts';
import type { TcpPart } from './tcpPart.ts';
import { UdpForwards } from './udpForwards.ts';
import { UdpNat } from './udpNat.ts';
import { UdpServices } from './udpServices.ts';
import {
  TAG_PING,
  TAG_SHIFT,
  TAG_TCP,
  TAG_TCP_FORWARD,
  TAG_UDP,
  TAG_UDP_FORWARD,
  type UserHost,
} from './userHost.ts';
import type { UserCommand, UserNews, UserOpened } from './userMessages.ts';
import { userReport } from './userReport.ts';

export class UserLink implements NetLink {
  readonly #host: UserHost;
  readonly #tables: GuestTables;
  readonly #packet = new IpPacket();
  readonly #header = new UdpDatagram();
  readonly #datagram: OutgoingDatagram;
  readonly #checksum = new TransportChecksum();
  readonly #fragments = new Fragments();
  readonly #icmp: IcmpService;
  readonly #services: UdpServices;
  readonly #udp: UdpNat;
  readonly #udpForwards: UdpForwards;
  readonly #tcp: TcpPart;
  readonly #tcpForwards: TcpForwards;
  readonly #clock = new GuestClock();
  readonly #arpReply = new Uint8Array(ARP_FRAME_BYTES);
  readonly #told = new Set<string>();
  #badFragments = 0;

  /** `makeTcp` makes TCP of what the rest lends to it. */
  constructor(opened: UserOpened, port: GuestPort, makeTcp: (host: UserHost) => TcpPart) {
    const { network } = opened;
    const tell = (news: UserNews): void => port.tell(news);
    const nowMs = (): number => this.#clock.nowMs;
    const sender = new IpSender(port, network);
    const reply = new PacketBuffer();
    const nameservers = new Nameservers(opened.nameservers, () => tell({ kind: 'nameservers' }));
    const tables = new GuestTables(network, opened.guestForwards, port);
    this.#tables = tables;
    this.#host = {
      port,
      network,
      sender,
      errors: new IcmpErrors(network, sender, reply, nowMs),
      nameservers,
      destinations: new Destinations(
        network,
        opened.guestForwards,
        opened.isRestricted,
        () => nameservers.current,
      ),
      request: new PacketBuffer(),
      reply,
      nowMs,
      guestAddress: () => tables.guestAddress,
      macOf: (address) => tables.macOf(address),
      troubleOnce: (sentence) => this.#troubleOnce(sentence),
    };
    this.#datagram = new OutgoingDatagram(this.#host.request);
    this.#services = new UdpServices(this.#host, tables, opened, tell);
    this.#icmp = new IcmpService(this.#host, tables.neighbours, opened);
    this.#udp = new UdpNat(this.#host);
    this.#udpForwards = new UdpForwards(this.#host);
    this.#tcp = makeTcp(this.#host);
    this.#tcpForwards = new TcpForwards(this.#host, (fd, from, to) => this.#tcp.openToGuest(fd, from, to));
    for (const it of opened.udpForwards) this.#udpForwards.add(it);
    for (const it of opened.tcpForwards) this.#tcpForwards.add(it);
  }

  send(frame: GuestFrame): void {
    const packet = this.#packet;
    const verdict = packet.read(frame);
    if (verdict === 'malformed') return this.#host.port.drop('malformed');
    if (verdict === 'other') {
      if (packet.etherType === ETHERTYPE_ARP) this.#onArp(frame);
      return;
    }
    const isGroup = ((frame.head[ETHER_DHOST] ?? 0) & 1) !== 0;
    if (!isGroup && !this.#isToOurMac(frame.head)) return; // of two interfaces of the guest
    if (packet.isFragment) this.#onFragment(frame);
    else this.#onPacket(frame, isGroup);
  }

  onSent(): void {
    this.#tcp.onSent();
  }

  onRoom(): void {
    this.#goOn();
    this.#tcp.onRoom();
  }

  onReady(tag: number, events: number): void {
    const index = tag % 2 ** TAG_SHIFT;
    switch (Math.floor(tag / 2 ** TAG_SHIFT)) {
      case TAG_TCP:
        return this.#tcp.onReady(tag, events);
      case TAG_UDP:
        return this.#udp.onReady(index);
      case TAG_UDP_FORWARD:
        return this.#udpForwards.onReady(index);
      case TAG_TCP_FORWARD:
        return this.#tcpForwards.onReady(index);
      case TAG_PING:
        return this.#icmp.pings.onReady(index);
    }
  }

  pause(): void {
    this.#clock.stop();
  }

  /** What was due meanwhile was not looked at. */
  resume(): void {
    this.#clock.start();
    this.#host.port.arm(0);
  }

  onTimer(): void {
    if (this.#clock.isStopped) return;
    const nowMs = this.#host.nowMs();
    this.#goOn();
    const nextMs = Math.min(
      this.#tcp.onTimer(nowMs),
      this.#udp.onTimer(nowMs),
      this.#icmp.onTimer(nowMs),
      this.#services.onTimer(nowMs),
    );
    if (nextMs !== Infinity) this.#host.port.arm(Math.max(0, nextMs - nowMs));
  }

  onMessage(message: unknown): void {
    const command = message as UserCommand; // our other half sends nothing else
    switch (command.kind) {
      case 'addForward':
        if (command.protocol === 'tcp') this.#tcpForwards.add(command.forward);
        else this.#udpForwards.add(command.forward);
        break;
      case 'removeForward':
        if (command.protocol === 'tcp') this.#tcpForwards.remove(command.id);
        else this.#udpForwards.remove(command.id);
        break;
      case 'nameservers':
        this.#host.nameservers.use(command.list);
        break;
      default:
        this.#services.onTftp(command);
    }
  }

  reset(): void {
    this.#clock.start(); // a driver that has gone does not come back where it was
    this.#tcp.reset();
    this.#udp.reset();
    this.#udpForwards.reset();
    this.#icmp.reset();
    this.#services.reset();
    this.#fragments.clear();
    this.#tables.neighbours.clear();
  }

  report(): LinkReport {
    return userReport({
      host: this.#host,
      tables: this.#tables,
      udp: this.#udp,
      udpForwards: this.#udpForwards,
      tcp: this.#tcp,
      tcpForwards: this.#tcpForwards,
      services: this.#services,
      pings: this.#icmp.pings,
      fragments: this.#fragments.count,
      badFragments: this.#badFragments,
    });
  }

  close(): void {
    this.reset();
    this.#udpForwards.close();
    this.#tcpForwards.close();
    this.#tcp.close();
  }

  #onArp(frame: GuestFrame): void {
    if (frame.headBytes < ARP_FRAME_BYTES) return this.#host.port.drop('malformed');
    const { network, sender } = this.#host;
    if (answerArp(frame.head, network.mac, this.#tables.neighbours, this.#arpReply))
      sender.sendFrame(this.#arpReply);
  }

  #onPacket(frame: GuestFrame, isGroup: boolean): void {
    const packet = this.#packet;
    switch (packet.protocol) {
      case IPPROTO_TCP:
        if (isGroup) return;
        if (this.#isExpired()) return this.#host.errors.about(packet, 'expired');
        return this.#tcp.onSegment(packet, frame);
      case IPPROTO_UDP:
        return this.#onUdp(frame);
      case IPPROTO_ICMP:
      case IPPROTO_ICMPV6:
        if ((packet.protocol === IPPROTO_ICMPV6) !== packet.isIpv6) return;
        frame.copyTo(this.#host.request.bytes.subarray(0, packet.payloadBytes), packet.payloadAt);
        if (
          packet.isIpv6
            ? !this.#checksum.holds(frame, packet, ICMP_CHECKSUM)
            : !this.#hasGoodSum(packet.payloadBytes)
        )
          return this.#host.port.drop('malformed');
        return this.#icmp.onMessage(packet, packet.payloadBytes);
      default:
        if (packet.isIpv6 && packet.protocol === IPPROTO_NONE) return; // RFC 8200 §4.7: nothing follows
        if (!isGroup) this.#host.errors.about(packet, 'protocol');
    }
  }

  #onUdp(frame: GuestFrame): void {
    const packet = this.#packet;
    const header = this.#header;
    if (!header.read(packet)) return this.#host.port.drop('malformed');
    const checkAt = packet.payloadAt + UDPHDR_CHECK;
    const isUnchecked = !packet.isIpv6 && packet.view.getUint16(checkAt) === 0; // RFC 768 allows it
    const lengthBytes = UDPHDR_BYTES + header.dataBytes;
    if (!isUnchecked && !this.#checksum.holds(frame, packet, UDPHDR_CHECK, lengthBytes))
      return this.#host.port.drop('malformed');
    const datagram = this.#datagram;
    datagram.sourcePort = header.sourcePort;
    datagram.destinationPort = header.destinationPort;
    datagram.dataBytes = header.dataBytes;
    const { gsoType, gsoSize } = frame.offload;
    datagram.segmentBytes = gsoType === VIRTIO_NET_HDR_GSO_UDP_L4 && gsoSize > 0 ? gsoSize : header.dataBytes;
    // One that the guest leaves to the link to cut (UFO) may be cut elsewhere, too.
    datagram.dontFragment = packet.dontFragment && gsoType !== VIRTIO_NET_HDR_GSO_UDP;
    datagram.set(frame, header.dataAt);
    this.#onDatagram();
  }

  #onDatagram(): void {
    const packet = this.#packet;
    const datagram = this.#datagram;
    if (this.#services.serve(packet, datagram)) return;
    if (this.#isExpired()) return this.#host.errors.about(packet, 'expired');
    if (!this.#udpForwards.answer(packet, datagram)) this.#udp.send(packet, datagram);
  }

  /** A router would have to pass it on, and has no hop left to do so. */
  #isExpired(): boolean {
    const packet = this.#packet;
    return packet.hopLimit <= 1 && !this.#tables.neighbours.isOurs(packet.destination());
  }

  #onFragment(frame: GuestFrame): void {
    const packet = this.#packet;
    const { request } = this.#host;
    frame.copyTo(request.bytes.subarray(0, packet.payloadBytes), packet.payloadAt);
    const verdict = this.#fragments.add(packet, request.bytes, this.#host.nowMs());
    if (verdict === 'drop') {
      this.#badFragments++;
      this.#host.port.drop('malformed');
    }
    if (verdict !== 'whole') return;
    const { bytes, lengthBytes, protocol } = this.#fragments;
    request.bytes.set(bytes.subarray(0, lengthBytes));
    if (protocol === IPPROTO_UDP) this.#onWholeDatagram(lengthBytes);
    const isIcmp = protocol === (packet.isIpv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    if (!isIcmp) return;
    const isGood = packet.isIpv6
      ? this.#hasGoodPseudoSum(protocol, lengthBytes)
      : this.#hasGoodSum(lengthBytes);
    if (isGood) this.#icmp.onMessage(packet, lengthBytes);
    else this.#host.port.drop('malformed');
  }

  /** Put together of fragments, in `request`. */
  #onWholeDatagram(lengthBytes: number): void {
    const { request, port } = this.#host;
    const { view } = request;
    const udpBytes = lengthBytes < UDPHDR_BYTES ? 0 : view.getUint16(UDPHDR_LEN);
    if (udpBytes < UDPHDR_BYTES || udpBytes > lengthBytes) return port.drop('malformed');
    const isUnchecked = !this.#packet.isIpv6 && view.getUint16(UDPHDR_CHECK) === 0;
    if (!isUnchecked && !this.#hasGoodPseudoSum(IPPROTO_UDP, udpBytes)) return port.drop('malformed');
    const datagram = this.#datagram;
    datagram.sourcePort = view.getUint16(UDPHDR_SOURCE);
    datagram.destinationPort = view.getUint16(UDPHDR_DEST);
    datagram.dataBytes = udpBytes - UDPHDR_BYTES;
    datagram.segmentBytes = datagram.dataBytes;
    datagram.dontFragment = false;
    datagram.set(undefined, 0);
    this.#onDatagram();
  }

  #hasGoodSum(lengthBytes: number): boolean {
    return sumOf(this.#host.request.view, 0, lengthBytes) === GOOD_SUM;
  }

  #hasGoodPseudoSum(protocol: number, lengthBytes: number): boolean {
    const { view, sourceAt, addressBytes } = this.#packet;
    const pseudo = pseudoHeaderSum(view, sourceAt, 2 * addressBytes, protocol, lengthBytes);
    return fold(pseudo + sumOf(this.#host.request.view, 0, lengthBytes)) === GOOD_SUM;
  }

  #isToOurMac(head: Uint8Array): boolean {
    const { mac } = this.#host.network;
    for (let index = 0; index < ETHER_ADDR_LEN; index++)
      if (head[ETHER_DHOST + index] !== mac[index]) return false;
    return true;
  }

  #goOn(): void {
    this.#udp.goOn();
    this.#udpForwards.goOn();
    this.#tcpForwards.goOn();
    this.#icmp.pings.goOn();
  }

  #troubleOnce(sentence: string): void {
    if (this.#told.has(sentence)) return;
    this.#told.add(sentence);
    this.#host.port.trouble(sentence);
  }
}
