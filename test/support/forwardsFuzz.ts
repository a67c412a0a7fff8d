/**
 * Forwards of a `user` network under programs of the host that connect and send, a host that fails calls, a
 * guest that has room or not and answers: each connection is handed over once, each datagram of a peer
 * arrives once and in order, and an answer reaches whom it is for, or is counted.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { AF_INET, AF_UNIX, SOCK_DGRAM, SOCK_STREAM } from '../../vmm-core/abi/socket.ts';
import type { UdpForward } from '../../vmm-core/backends/net/user/udpForwards.ts';
import type { TcpForward } from '../../vmm-core/backends/net/user/tcpForwards.ts';
import type { SocketAddress } from '../../vmm-core/bus/socketAddress.ts';
import { type Fault, injectFaults, type IoRequest } from '../../vmm-core/kvm/io/faults.ts';
import { closeFd } from '../../vmm-core/kvm/libc.ts';
import { KernelMessage } from '../../vmm-core/kvm/net/messageIo.ts';
import {
  bindSocket,
  connectSocket,
  listenOn,
  localAddress,
  openSocket,
} from '../../vmm-core/kvm/net/sockets.ts';
import { IoBuffer } from '../../vmm-core/memory/ioBuffer.ts';
import { seededRandom } from './bytes.ts';
import { Chances } from './chances.ts';
import { PlannedFaults } from './ioFaults.ts';
import { UDP } from './rawPackets.ts';
import { GUEST, HOST, UserGuest } from './userGuest.ts';

const { EAGAIN, ECONNABORTED, ECONNREFUSED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM } = constants.errno;

const STEPS = 60;
const FORWARDS = 2;
const CLIENTS = 3;
const BACKLOG = 64;
const FIRST_GUEST_PORT = 53;
const LOOPBACK = Uint8Array.of(127, 0, 0, 1);

/** Who sends to a forward, and what is under way between it and the guest. */
interface Client {
  readonly fd: number;
  readonly forward: number;
  /** What it has sent, and not arrived. */
  readonly asked: string[];
  /** What the guest has answered, and not come. */
  readonly answered: string[];
  /** As the guest sees it. */
  shownPort: number | undefined;
}

export async function forwardsRound(seed: number): Promise<void> {
  const round = new ForwardsRound(new Chances(seededRandom(seed)));
  try {
    for (let step = 0; step < STEPS; step++) await round.step();
    await round.finish();
  } finally {
    injectFaults(undefined);
    round.close();
  }
}

class ForwardsRound {
  readonly #chances: Chances;
  readonly #paths: string[] = [];
  readonly #tcp: readonly TcpForward[];
  readonly #udp: readonly UdpForward[];
  readonly #udpAddresses: readonly SocketAddress[];
  readonly #guest: UserGuest;
  readonly #clients: Client[] = [];
  readonly #connected: number[] = [];
  readonly #message = new KernelMessage([]);
  readonly #buffer = new IoBuffer(4096);
  #number = 0;

  constructor(chances: Chances) {
    this.#chances = chances;
    const ids = Array.from({ length: FORWARDS }, (_, id) => id);
    this.#tcp = ids.map((id) => ({ ...forward(id), fd: this.#listener() }));
    this.#udp = ids.map((id) => ({ ...forward(id), fd: bound() }));
    this.#udpAddresses = this.#udp.map(({ fd }) => addressOf(fd));
    this.#guest = new UserGuest({ opened: { tcpForwards: this.#tcp, udpForwards: this.#udp } });
    for (const id of ids)
      for (let i = 0; i < CLIENTS; i++)
        this.#clients.push({ fd: bound(), forward: id, asked: [], answered: [], shownPort: undefined });
    if (!chances.chance(0.7)) return;
    const fds = [...this.#tcp, ...this.#udp].map(({ fd }) => fd);
    injectFaults(new PlannedFaults((it) => (fds.includes(it.fd) ? this.#fault(it) : undefined)));
  }

  async step(): Promise<void> {
    const chances = this.#chances;
    if (chances.chance(0.1)) this.#setFull(chances.chance(0.5));
    if (chances.chance(0.3)) this.#connect();
    if (chances.chance(0.5)) this.#ask(chances.of(this.#clients));
    if (chances.chance(0.3)) this.#answer(chances.of(this.#clients));
    if (chances.chance(0.3)) this.#hear();
    if (chances.chance(0.4)) await this.#turn();
  }

  /** All that is under way arrives, once. */
  async finish(): Promise<void> {
    injectFaults(undefined);
    this.#setFull(false);
    const isOver = (): boolean =>
      this.#guest.accepted.length === this.#connected.length &&
      this.#clients.every(({ asked }) => asked.length === 0);
    for (let turn = 0; !isOver(); turn++) {
      assert.ok(turn < 1000, 'it does not come to an end');
      await this.#turn();
    }
    await this.#turn();
    this.#hear();
    assert.equal(this.#guest.accepted.length, this.#connected.length, 'each connection once');
    for (const { to } of this.#guest.accepted) assert.match(to, /^10\.0\.2\.15:5[34]$/);
    assert.deepEqual(
      this.#clients.flatMap(({ answered }) => answered),
      [],
      'answers that did not come',
    );
    assert.ok(this.#guest.troubles.length <= 1, 'the user is told once');
  }

  close(): void {
    for (const { fd } of this.#guest.accepted) closeFd(fd);
    this.#guest.close();
    for (const fd of [...this.#connected, ...this.#clients.map((it) => it.fd)]) closeFd(fd);
    for (const it of this.#paths) rmSync(it, { force: true });
  }

  #listener(): number {
    const at = path.join(tmpdir(), `forward-${randomUUID()}`);
    this.#paths.push(at);
    const fd = openSocket(AF_UNIX, SOCK_STREAM);
    assert.equal(bindSocket(fd, { family: 'unix', path: at }), 0);
    assert.equal(listenOn(fd, BACKLOG), 0);
    return fd;
  }

  #connect(): void {
    const fd = openSocket(AF_UNIX, SOCK_STREAM);
    this.#connected.push(fd);
    assert.equal(connectSocket(fd, { family: 'unix', path: this.#chances.of(this.#paths) }), 0);
  }

  #ask(client: Client): void {
    const text = `ask ${this.#number++}`;
    client.asked.push(text);
    this.#put(text);
    const to = this.#udpAddresses[client.forward] ?? assert.fail();
    assert.equal(this.#message.sendTo(client.fd, to), text.length);
  }

  /** One that the guest has heard of. */
  #answer(client: Client): void {
    if (client.shownPort === undefined) return;
    const text = `answer ${this.#number++}`;
    const { drops } = this.#guest;
    const before = drops['hostBusy'] ?? 0;
    const from = FIRST_GUEST_PORT + client.forward;
    this.#guest.sendUdp(GUEST, from, HOST, client.shownPort, Buffer.from(text));
    const isDropped = (drops['hostBusy'] ?? 0) > before;
    if (!isDropped) client.answered.push(text);
  }

  /** What has come from the guest: in order, and by the port that was asked. */
  #hear(): void {
    for (const client of this.#clients)
      for (;;) {
        this.#message.clear();
        this.#message.addBuffer(this.#buffer, 0, this.#buffer.bytes.length);
        const result = this.#message.receiveFrom(client.fd);
        if (result < 0) break;
        assert.deepEqual(this.#message.peer, this.#udpAddresses[client.forward]);
        assert.equal(this.#text(result), client.answered.shift());
      }
  }

  async #turn(): Promise<void> {
    if (this.#guest.armedMs < Infinity) this.#guest.armedMs = 0; // its time has come
    await this.#guest.turn();
    for (const { protocol, sourcePort, destinationPort, payload } of this.#guest.take()) {
      assert.equal(protocol, UDP);
      const text = Buffer.from(payload.subarray(8)).toString();
      const client = this.#clients.find(({ asked }) => asked[0] === text);
      assert.ok(client !== undefined, `"${text}" is nobody's next question`);
      assert.equal(destinationPort, FIRST_GUEST_PORT + client.forward);
      client.shownPort ??= sourcePort;
      assert.equal(sourcePort, client.shownPort, 'the guest sees each peer as one');
      client.asked.shift();
    }
  }

  #setFull(isFull: boolean): void {
    this.#guest.isFull = isFull;
    if (!isFull) this.#guest.link.onRoom();
  }

  #put(text: string): void {
    this.#buffer.bytes.set(Buffer.from(text));
    this.#message.clear();
    this.#message.addBuffer(this.#buffer, 0, text.length);
  }

  #text(lengthBytes: number): string {
    return Buffer.from(this.#buffer.bytes.subarray(0, lengthBytes)).toString();
  }

  /** Nothing is lost by them: a datagram or a connection stays where it is. */
  #fault({ call }: IoRequest): Fault | undefined {
    const chances = this.#chances;
    if (!chances.chance(0.3)) return undefined;
    if (call === 'accept')
      return { errno: chances.of([EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM]) };
    if (call === 'receive') return { errno: chances.of([EINTR, ECONNREFUSED, ENOBUFS, ENOMEM]) };
    if (call === 'sendTo') return { errno: chances.of([EINTR, EAGAIN, ENOBUFS, EPERM]) };
    return undefined;
  }
}

function forward(id: number): Omit<UdpForward, 'fd'> {
  return { id, guestPort: FIRST_GUEST_PORT + id, guestAddress: undefined };
}

/** To a port of the loopback that the kernel chooses. */
function bound(): number {
  const fd = openSocket(AF_INET, SOCK_DGRAM);
  assert.equal(bindSocket(fd, { family: 'ipv4', address: LOOPBACK, port: 0 }), 0);
  return fd;
}

function addressOf(fd: number): SocketAddress {
  const address = localAddress(fd);
  assert.ok(typeof address !== 'number');
  return address;
}
