/**
 * Main's side of a `user` network: chooses prefixes, opens what the outside comes in by, reads the host's
 * resolver and the shared folders. Nothing of it is on the way of a packet.
 */
import { join } from 'node:path';
import type { Server } from 'node:http';
import { LOOPBACK4, parseIp, type SocketAddress } from '../../../bus/socketAddress.ts';
import { runtimeDir } from '../../../client/runtimeDir.ts';
import type {
  ForwardConfig,
  GuestForwardConfig,
  NetworkConfig,
} from '../../../config/settings/networkOptions.ts';
import { forwardText } from '../../../config/settings/forwards.ts';
import { UserError } from '../../../errors.ts';
import { closeFd } from '../../../kvm/libc.ts';
import type { LinkBackend, LinkHost } from '../linkKind.ts';
import { userNetwork, type UserNetwork } from './addresses.ts';
import { DNS_PORT, type GuestForward } from './destinations.ts';
import { hostnameOf } from './dhcp.ts';
import { addressOf, isSameForward, openForward, type OpenForward, openPath, removePath } from './forwards.ts';
import { choosePrefix, choosePrefix6, hostInterfaces, hostNetwork } from './prefixClash.ts';
import { type Nameserver, parseNameserver, ResolvConfFile } from './resolvConf.ts';
import { SharedFolder } from './sharedFolder.ts';
import { TftpFolder } from './tftpFolder.ts';
import type { UserCommand, UserNews, UserOpened } from './userMessages.ts';

const HTTP_PORT = 80;

/** Throws UserError; then nothing is open. */
export function open(config: NetworkConfig, host: LinkHost): LinkBackend {
  const resolver = new ResolvConfFile();
  const fixed = config.dns === undefined ? undefined : fixedNameserver(config.dns);
  const nameservers = fixed === undefined ? resolver.content.nameservers : [fixed];
  const known = hostNetwork(nameservers.map((it) => it.address));
  const network = userNetwork(
    choosePrefix(config.prefix, known),
    choosePrefix6(config.prefix6, known),
    host.mtu,
    host.mac,
  );
  const tftp = config.tftp === undefined ? undefined : new SharedFolder(config.tftp, 'the TFTP folder');
  const http = config.http === undefined ? undefined : new SharedFolder(config.http, 'the HTTP folder');
  const guestForwards = (config.guestForwards ?? []).map(guestForward);
  const forwards = openAll(config.forwards ?? []);
  let server: HttpServer | undefined;
  try {
    if (http !== undefined) server = serveHttp(http, host);
  } catch (error) {
    for (const it of forwards) closeForward(it);
    throw error;
  }
  const opened: UserOpened = {
    network,
    nameservers: nameservers.map(nameserverAddress),
    search: resolver.content.search,
    hostname: config.hostname ?? hostnameOf(host.vmName),
    bootfile: config.bootfile,
    isRestricted: config.isRestricted === true,
    hasTftp: tftp !== undefined,
    guestForwards: [...guestForwards, ...(server === undefined ? [] : httpForwards(network, server.path))],
    tcpForwards: forwards.filter((it) => it.protocol === 'tcp').flatMap((it) => it.sockets),
    udpForwards: forwards.filter((it) => it.protocol === 'udp').flatMap((it) => it.sockets),
  };
  return new UserBackend(opened, host, {
    forwards,
    server,
    tftp,
    resolver: fixed === undefined ? resolver : undefined,
  });
}

interface UserParts {
  readonly forwards: readonly OpenForward[];
  readonly server: HttpServer | undefined;
  readonly tftp: SharedFolder | undefined;
  /** Undefined: the user has named a name server. */
  readonly resolver: ResolvConfFile | undefined;
}

interface HttpServer {
  readonly path: string;
  /** Undefined: its code is being loaded. */
  server: Server | undefined;
  isClosed: boolean;
}

class UserBackend implements LinkBackend {
  readonly opened: UserOpened;
  readonly #host: LinkHost;
  readonly #forwards: OpenForward[];
  readonly #server: HttpServer | undefined;
  readonly #tftp: TftpFolder | undefined;
  readonly #resolver: ResolvConfFile | undefined;

  constructor(opened: UserOpened, host: LinkHost, parts: UserParts) {
    this.opened = opened;
    this.#host = host;
    this.#forwards = [...parts.forwards];
    this.#server = parts.server;
    this.#resolver = parts.resolver;
    this.#tftp =
      parts.tftp === undefined ? undefined : new TftpFolder(parts.tftp, (told) => this.#send(told));
  }

  onMessage(message: unknown): void {
    const news = message as UserNews; // our other half tells nothing else
    if (news.kind !== 'nameservers') return this.#tftp?.onAsked(news);
    if (this.#resolver?.refresh() !== true) return;
    const list = this.#resolver.content.nameservers.map(nameserverAddress);
    this.#send({ kind: 'nameservers', list });
  }

  async addForward(config: ForwardConfig): Promise<void> {
    if (this.#forwards.some((it) => isSameForward(it.config, config)))
      throw new UserError(`${forwardText(config)} is forwarded already`);
    const forward = openForward(config);
    this.#forwards.push(forward);
    for (const it of forward.sockets)
      this.#send({ kind: 'addForward', protocol: forward.protocol, forward: it });
  }

  async removeForward(config: ForwardConfig): Promise<void> {
    const index = this.#forwards.findIndex((it) => isSameForward(it.config, config));
    const [forward] = index === -1 ? [] : this.#forwards.splice(index, 1);
    if (forward === undefined) {
      const others = this.#forwards.map((it) => forwardText(it.config)).join('; ');
      throw new UserError(
        `there is no forward of ${forwardText(config)}${others === '' ? '' : `; there are: ${others}`}`,
      );
    }
    removePath(forward.path);
    for (const { id } of forward.sockets)
      this.#send({ kind: 'removeForward', protocol: forward.protocol, id });
  }

  close(isAttached: boolean): void {
    for (const forward of this.#forwards) {
      if (isAttached) removePath(forward.path);
      else closeForward(forward);
    }
    this.#tftp?.close();
    if (this.#server === undefined) return;
    this.#server.isClosed = true;
    this.#server.server?.closeAllConnections();
    this.#server.server?.close();
    removePath(this.#server.path);
  }

  #send(command: UserCommand): void {
    this.#host.send(command);
  }
}

function openAll(configs: readonly ForwardConfig[]): OpenForward[] {
  const forwards: OpenForward[] = [];
  try {
    for (const it of configs) forwards.push(openForward(it));
  } catch (error) {
    for (const it of forwards) closeForward(it);
    throw error;
  }
  return forwards;
}

function closeForward(forward: OpenForward): void {
  for (const { fd } of forward.sockets) closeFd(fd);
  removePath(forward.path);
}

/** Addresses are checked (config/settings/forwards.ts). */
function guestForward({
  guestAddress,
  guestPort,
  hostAddress,
  hostPort,
  hostPath,
}: GuestForwardConfig): GuestForward {
  const to = hostAddress === undefined ? LOOPBACK4 : (parseIp(hostAddress) ?? LOOPBACK4);
  const target: SocketAddress =
    hostPath === undefined ? addressOf(to, hostPort ?? guestPort) : { family: 'unix', path: hostPath };
  return { address: parseIp(guestAddress) ?? LOOPBACK4, port: guestPort, target };
}

/** The folder at port 80 of the virtual host, by a socket that nobody else finds. Throws UserError. */
function serveHttp(folder: SharedFolder, host: LinkHost): HttpServer {
  const path = join(runtimeDir(), `http-${process.pid}-${host.index}`);
  const fd = openPath(path);
  const served: HttpServer = { path, server: undefined, isClosed: false };
  // Node's HTTP is loaded where there is a folder. Whoever connects before waits in the socket's backlog.
  void import('./httpFolder.ts').then(({ httpFolder }) => {
    if (served.isClosed) return closeFd(fd);
    served.server = httpFolder(folder);
    served.server.on('error', (error) =>
      host.trouble(`the HTTP folder of ${host.name} is not served any more: ${error.message}`),
    );
    served.server.listen({ fd }).unref();
  });
  return served;
}

function httpForwards({ ipv4, ipv6 }: UserNetwork, path: string): GuestForward[] {
  const target: SocketAddress = { family: 'unix', path };
  return [ipv4.host, ipv6.host].map((address) => ({ address, port: HTTP_PORT, target }));
}

/** Throws UserError. */
function fixedNameserver(text: string): Nameserver {
  const nameserver = parseNameserver(text);
  if (nameserver === undefined)
    throw new UserError(`the name server "${text}" is no address: write it in numbers, as 192.0.2.1`);
  if (nameserver.scope !== undefined && scopeOf(nameserver.scope) === undefined)
    throw new UserError(
      `the name server "${text}" is on "${nameserver.scope}", which is no interface with IPv6 of this host`,
    );
  return nameserver;
}

function nameserverAddress({ address, scope }: Nameserver): SocketAddress {
  if (address.length === 4) return { family: 'ipv4', address, port: DNS_PORT };
  const link = scope === undefined ? undefined : scopeOf(scope);
  return { family: 'ipv6', address, port: DNS_PORT, ...(link === undefined ? {} : { scope: link }) };
}

/** `eth0`, or a number. */
function scopeOf(name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  const [, entries] = hostInterfaces().find(([it]) => it === name) ?? [];
  const entry = entries?.find((it) => it.family === 'IPv6');
  return entry?.family === 'IPv6' ? entry.scopeid : undefined;
}
