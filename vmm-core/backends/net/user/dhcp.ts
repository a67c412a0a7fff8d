/**
 * The DHCP server (RFC 2131, 2132), and BOOTP's where a request has no message type: a request's bytes in, a
 * reply's out. It knows no network and no clock; leases are the caller's.
 */
import {
  BOOTP_CHADDR,
  BOOTP_CIADDR,
  BOOTP_FILE,
  BOOTP_FILE_BYTES,
  BOOTP_FLAG_BROADCAST,
  BOOTP_FLAGS,
  BOOTP_GIADDR,
  BOOTP_HLEN,
  BOOTP_HTYPE,
  BOOTP_MAGIC,
  BOOTP_MIN_BYTES,
  BOOTP_OP,
  BOOTP_OPTIONS,
  BOOTP_SIADDR,
  BOOTP_XID,
  BOOTP_YIADDR,
  BOOTREPLY,
  BOOTREQUEST,
  DHCP_MAGIC,
  DHCP_MIN_MAX_BYTES,
  DHCPACK,
  DHCPDECLINE,
  DHCPDISCOVER,
  DHCPINFORM,
  DHCPNAK,
  DHCPOFFER,
  DHCPRELEASE,
  DHCPREQUEST,
  DHO_BOOTFILE_NAME,
  DHO_BROADCAST_ADDRESS,
  DHO_DHCP_LEASE_TIME,
  DHO_DHCP_MESSAGE_TYPE,
  DHO_DHCP_REQUESTED_ADDRESS,
  DHO_DHCP_SERVER_IDENTIFIER,
  DHO_DOMAIN_NAME,
  DHO_DOMAIN_NAME_SERVERS,
  DHO_DOMAIN_SEARCH,
  DHO_END,
  DHO_HOST_NAME,
  DHO_INTERFACE_MTU,
  DHO_PAD,
  DHO_ROUTERS,
  DHO_SUBNET_MASK,
  DHO_TFTP_SERVER_NAME,
  HTYPE_ETHERNET,
} from '../../../abi/dhcp.ts';
import { ipText } from '../../../bus/socketAddress.ts';
import { domainNames } from './domainNames.ts';
import type { Leases } from './leases.ts';

/** What clients are told. Addresses are four bytes. */
export interface DhcpSettings {
  readonly server: Uint8Array;
  readonly mask: Uint8Array;
  readonly broadcast: Uint8Array;
  readonly router?: Uint8Array;
  readonly dns?: Uint8Array;
  readonly hostname?: string;
  /** Appended to names; the first is the client's own domain, too. */
  readonly search: readonly string[];
  readonly mtu: number;
  readonly leaseSeconds: number;
  /** `server` has files for network boot, one of which a client may know by itself. */
  readonly hasTftp?: boolean;
  /** For network boot, from `server`. */
  readonly bootfile?: string;
}

export interface DhcpReply {
  readonly message: Uint8Array;
  /** Undefined: to all, from where it is a client without an address. */
  readonly to: Uint8Array | undefined;
}

/** Of a request: what of it matters here. Addresses are numbers. */
interface DhcpRequest {
  readonly bytes: Uint8Array;
  readonly mac: number;
  /** 0: BOOTP. */
  readonly type: number;
  readonly clientAddress: number;
  readonly wanted: number | undefined;
  readonly server: number | undefined;
}

/** `request` is the UDP payload. Undefined: it is none, or wants no answer. */
export function answerDhcp(
  request: Uint8Array,
  settings: DhcpSettings,
  leases: Leases,
  nowMs: number,
): DhcpReply | undefined {
  const parsed = parseRequest(request);
  if (parsed === undefined) return undefined;
  const { mac, type, wanted, clientAddress } = parsed;
  switch (type) {
    case 0: {
      const address = leases.choose(mac, undefined, nowMs);
      if (address === undefined) return undefined;
      leases.bind(mac, address, nowMs);
      return reply(parsed, settings, 0, address);
    }
    case DHCPDISCOVER: {
      const address = leases.choose(mac, wanted, nowMs);
      if (address === undefined) return undefined;
      leases.offer(mac, address, nowMs);
      return reply(parsed, settings, DHCPOFFER, address);
    }
    case DHCPREQUEST:
      return answerRequest(parsed, settings, leases, nowMs);
    case DHCPINFORM:
      return clientAddress === 0 ? undefined : reply(parsed, settings, DHCPACK, 0);
    case DHCPRELEASE:
      leases.release(mac);
      return undefined;
    case DHCPDECLINE:
      if (wanted !== undefined) leases.decline(mac, wanted, nowMs);
      return undefined;
    default:
      return undefined;
  }
}

/** §4.3.2: SELECTING has a server's identifier, INIT-REBOOT an address wanted, RENEWING one in use. */
function answerRequest(
  request: DhcpRequest,
  settings: DhcpSettings,
  leases: Leases,
  nowMs: number,
): DhcpReply | undefined {
  const { mac, server, wanted, clientAddress } = request;
  if (server !== undefined && server !== addressNumber(settings.server, 0)) {
    leases.release(mac); // it has chosen another
    return undefined;
  }
  const address = clientAddress === 0 ? wanted : clientAddress;
  if (address === undefined) return undefined;
  if (!leases.canHave(mac, address, nowMs)) return reply(request, settings, DHCPNAK, 0);
  leases.bind(mac, address, nowMs);
  return reply(request, settings, DHCPACK, address);
}

function parseRequest(bytes: Uint8Array): DhcpRequest | undefined {
  if (bytes.length < BOOTP_MAGIC) return undefined;
  if (bytes[BOOTP_OP] !== BOOTREQUEST || bytes[BOOTP_HTYPE] !== HTYPE_ETHERNET || bytes[BOOTP_HLEN] !== 6)
    return undefined;
  if (addressNumber(bytes, BOOTP_GIADDR) !== 0) return undefined; // no relay is in this network
  const mac = macNumber(bytes, BOOTP_CHADDR);
  let type = 0;
  let wanted: number | undefined;
  let server: number | undefined;
  if (bytes.length >= BOOTP_OPTIONS && addressNumber(bytes, BOOTP_MAGIC) === DHCP_MAGIC) {
    for (let at = BOOTP_OPTIONS; at < bytes.length;) {
      const code = bytes[at] ?? DHO_END;
      if (code === DHO_END) break;
      if (code === DHO_PAD) {
        at++;
        continue;
      }
      const lengthBytes = bytes[at + 1] ?? 0;
      const value = at + 2;
      if (value + lengthBytes > bytes.length) return undefined;
      if (code === DHO_DHCP_MESSAGE_TYPE && lengthBytes === 1) type = bytes[value] ?? 0;
      if (code === DHO_DHCP_REQUESTED_ADDRESS && lengthBytes === 4) wanted = addressNumber(bytes, value);
      if (code === DHO_DHCP_SERVER_IDENTIFIER && lengthBytes === 4) server = addressNumber(bytes, value);
      at = value + lengthBytes;
    }
  }
  const clientAddress = addressNumber(bytes, BOOTP_CIADDR);
  return { bytes, mac, type, clientAddress, wanted, server };
}

function reply(request: DhcpRequest, settings: DhcpSettings, type: number, address: number): DhcpReply {
  const { bytes, clientAddress } = request;
  const message = new Uint8Array(DHCP_MIN_MAX_BYTES);
  const view = new DataView(message.buffer);
  message.set(bytes.subarray(0, BOOTP_XID + 4));
  message[BOOTP_OP] = BOOTREPLY;
  message[3] = 0; // hops
  message.set(bytes.subarray(BOOTP_FLAGS, BOOTP_FLAGS + 2), BOOTP_FLAGS);
  message.set(bytes.subarray(BOOTP_CHADDR, BOOTP_CHADDR + 16), BOOTP_CHADDR);
  view.setUint32(BOOTP_MAGIC, DHCP_MAGIC);
  const options = new OptionWriter(message, BOOTP_OPTIONS);
  if (type !== 0) options.add(DHO_DHCP_MESSAGE_TYPE, [type]).add(DHO_DHCP_SERVER_IDENTIFIER, settings.server);
  if (type !== DHCPNAK) {
    if (type === DHCPACK) view.setUint32(BOOTP_CIADDR, clientAddress);
    view.setUint32(BOOTP_YIADDR, address);
    addSettings(message, options, settings, type !== 0 && address !== 0);
  }
  const usedBytes = Math.max(options.end(), BOOTP_MIN_BYTES);
  return { message: message.subarray(0, usedBytes), to: destination(request, type, address) };
}

function addSettings(
  message: Uint8Array,
  options: OptionWriter,
  settings: DhcpSettings,
  hasLease: boolean,
): void {
  const { server, mask, broadcast, router, dns, hostname, search, mtu, leaseSeconds } = settings;
  const { hasTftp, bootfile } = settings;
  if (hasLease) options.add(DHO_DHCP_LEASE_TIME, u32Bytes(leaseSeconds));
  options.add(DHO_SUBNET_MASK, mask).add(DHO_BROADCAST_ADDRESS, broadcast);
  if (router !== undefined) options.add(DHO_ROUTERS, router);
  if (dns !== undefined) options.add(DHO_DOMAIN_NAME_SERVERS, dns);
  options.add(DHO_INTERFACE_MTU, [mtu >> 8, mtu & 0xff]);
  if (hostname !== undefined) options.add(DHO_HOST_NAME, text(hostname));
  if (hasTftp === true || bootfile !== undefined) {
    message.set(server, BOOTP_SIADDR);
    options.add(DHO_TFTP_SERVER_NAME, text(ipText(server)));
  }
  if (bootfile !== undefined) {
    message.set(text(bootfile).subarray(0, BOOTP_FILE_BYTES - 1), BOOTP_FILE);
    options.add(DHO_BOOTFILE_NAME, text(bootfile));
  }
  const [domain] = search;
  if (domain === undefined) return;
  options.add(DHO_DOMAIN_NAME, text(domain)).add(DHO_DOMAIN_SEARCH, domainNames(search));
}

/** §4.1: who has an address is answered there, who asks for it by broadcast, others by MAC address. */
function destination(request: DhcpRequest, type: number, address: number): Uint8Array | undefined {
  const { bytes, clientAddress } = request;
  if (type === DHCPNAK) return undefined;
  if (clientAddress !== 0) return u32Bytes(clientAddress);
  const wantsBroadcast = (((bytes[BOOTP_FLAGS] ?? 0) << 8) & BOOTP_FLAG_BROADCAST) !== 0;
  return wantsBroadcast ? undefined : u32Bytes(address);
}

/** Options that have no room left are left out. */
class OptionWriter {
  readonly #message: Uint8Array;
  #at: number;

  constructor(message: Uint8Array, at: number) {
    this.#message = message;
    this.#at = at;
  }

  add(code: number, value: ArrayLike<number>): this {
    const lengthBytes = value.length;
    const hasRoom = this.#at + 2 + lengthBytes < this.#message.length; // and one for the end
    if (lengthBytes === 0 || lengthBytes > 255 || !hasRoom) return this;
    this.#message[this.#at] = code;
    this.#message[this.#at + 1] = lengthBytes;
    this.#message.set(value, this.#at + 2);
    this.#at += 2 + lengthBytes;
    return this;
  }

  /** How long the message is. */
  end(): number {
    this.#message[this.#at] = DHO_END;
    return this.#at + 1;
  }
}

/** A name that DNS takes, of what a user calls a VM. */
export function hostnameOf(name: string): string {
  return name
    .replace(/[^A-Za-z0-9-]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, 63)
    .replace(/-+$/, '');
}

export function macNumber(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return high * 2 ** 32 + addressNumber(bytes, at + 2);
}

export function addressNumber(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

export function u32Bytes(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function text(value: string): Uint8Array {
  return Buffer.from(value, 'utf8');
}
