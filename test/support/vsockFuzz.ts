/**
 * Seeded guests and programs that talk by a vsock device: connections both ways, data both ways in any
 * framing, buffers that run out, ends by halves, pauses and resets, packets that are wrong, and a host that
 * fails. What byte is where in a stream follows from the stream: nothing may be lost, reordered or made up,
 * and credit is kept.
 */
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { EPOLLIN, EPOLLOUT } from '../../vmm-core/abi/epoll.ts';
import * as abi from '../../vmm-core/abi/virtioVsock.ts';
import { MAX_CONNECTIONS, STATE } from '../../vmm-core/devices/virtio/vsock/vsockState.ts';
import { type Fault, injectFaults, type IoRequest } from '../../vmm-core/kvm/io/faults.ts';
import { seededRandom } from './bytes.ts';
import { Chances } from './chances.ts';
import { writable } from './mockDriver.ts';
import { type Listener, type Packet, type Peer, VsockMachine } from './vsockMachine.ts';

const STEPS = 120;
const HOST_PORT = 1000;
/** Where somebody listens whom nobody asks. */
const OTHER_PORT = 999;
const GUEST_PORT = 2000;
const WRONG_PORT = 9000;
const MAX_DATA = 20_000;
const { EAGAIN, ENOBUFS, EMFILE, ECONNRESET, ENOMEM } = constants.errno;
const { VIRTIO_VSOCK_SHUTDOWN_RCV: RCV, VIRTIO_VSOCK_SHUTDOWN_SEND: SEND } = abi;

/** One connection, as both of its ends know it. */
interface Talk {
  readonly guestPort: number;
  hostPort: number;
  /** Where it is to arrive. */
  readonly listener: Listener | undefined;
  program: Peer | undefined;
  state: 'asked' | 'greeted' | 'open' | 'over';
  readonly seed: number;
  /** The guest: what it has sent, received, taken out of its buffer, and been told of ours. */
  guestSent: number;
  guestReceived: number;
  guestTaken: number;
  bufAlloc: number;
  peerBufAlloc: number;
  peerFwdCnt: number;
  guestSentAll: boolean;
  /** The program. */
  programSent: number;
  programReceived: number;
  programSentAll: boolean;
  programIsGone: boolean;
  /** Of the answer to CONNECT. */
  answer: string;
  isAnswered: boolean;
  /** Something was wrong or failed: what arrives is a beginning of what was sent, no more is promised. */
  isTainted: boolean;
  /** Packets that are wrong were sent on it, and may have been data. */
  isGarbled: boolean;
}

export function vsockRound(seed: number): void {
  const before = sockets();
  new VsockRound(seed).run();
  assert.equal(sockets(), before, 'every socket is closed');
}

/** Other threads of a test open descriptors of other kinds. */
function sockets(): number {
  return readdirSync('/proc/self/fd').filter(isSocket).length;
}

function isSocket(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
  } catch {
    return false; // the one that lists them
  }
}

class VsockRound {
  readonly #chances: Chances;
  readonly #vsock: VsockMachine;
  readonly #talks: Talk[] = [];
  readonly #hasFaults: boolean;
  readonly #hasWrongs: boolean;
  #isPaused = false;
  #nextPort = GUEST_PORT;

  constructor(seed: number) {
    this.#chances = new Chances(seededRandom(seed));
    this.#hasFaults = this.#chances.chance(0.4);
    this.#hasWrongs = this.#chances.chance(0.3);
    this.#vsock = new VsockMachine({ queueSize: 32, rxBuffers: 0, memoryBytes: 8 << 20 });
    this.#vsock.isRefilling = false;
    this.#vsock.listen(OTHER_PORT);
  }

  run(): void {
    try {
      for (let step = 0; step < STEPS; step++) {
        this.#act();
        this.#turn();
      }
      this.#finish();
    } finally {
      this.#vsock.close();
    }
  }

  // What happens.

  #act(): void {
    const what = this.#chances.random();
    if (what < 0.08) this.#connectGuest();
    else if (what < 0.14) this.#connectProgram();
    else if (what < 0.36) this.#sendGuest();
    else if (what < 0.52) this.#sendProgram();
    else if (what < 0.66) this.#receiveProgram();
    else if (what < 0.78) this.#offer();
    else if (what < 0.86) this.#takeGuest();
    else if (what < 0.9) this.#end();
    else if (what < 0.93) this.#vsock.wait(this.#chances.below(500));
    else if (what < 0.96) this.#pause();
    else if (this.#hasWrongs) this.#sendWrong();
  }

  /** The I/O thread runs, with a host that may fail. */
  #turn(): void {
    const failed = new Set<number>();
    if (this.#hasFaults) injectFaults({ before: (it) => this.#fault(it, failed), after: () => undefined });
    this.#vsock.run();
    injectFaults(undefined);
    // What the kernel would tell some time after it has said EAGAIN.
    for (let row = 0; row < 64; row++)
      if (failed.has(this.#vsock.core.connections.table.fd[row] ?? -1))
        this.#vsock.core.onReady(row, EPOLLIN | EPOLLOUT);
    this.#letIn();
    this.#hear();
  }

  #fault({ call, fd, lengthBytes }: IoRequest, failed: Set<number>): Fault | undefined {
    if (!this.#chances.chance(0.1)) return undefined;
    if (call === 'socket' || call === 'connect' || call === 'accept') return { errno: EMFILE };
    if (lengthBytes > 1 && this.#chances.chance(0.5))
      return { shortBytes: 1 + this.#chances.below(lengthBytes) };
    const errno = this.#chances.of([EAGAIN, EAGAIN, ENOBUFS, ENOMEM, ECONNRESET]);
    if (errno === EAGAIN) failed.add(fd);
    if (errno === ECONNRESET)
      for (const talk of this.#talks)
        if (this.#rowFd(talk) === fd || this.#rowFd(talk) < 0) talk.isTainted = true;
    return { errno };
  }

  #rowFd({ hostPort, guestPort }: Talk): number {
    const { table } = this.#vsock.core.connections;
    return table.fd[table.find(hostPort, guestPort)] ?? -1;
  }

  #connectGuest(): void {
    const guestPort = this.#nextPort++;
    const hostPort = HOST_PORT + this.#talks.length;
    const listener = this.#chances.chance(0.9) ? this.#vsock.listen(hostPort) : undefined;
    const talk = { ...this.#talk(guestPort, hostPort), listener };
    this.#talks.push(talk);
    this.#send(talk, { op: abi.VIRTIO_VSOCK_OP_REQUEST });
  }

  #connectProgram(): void {
    const talk = this.#talk(this.#nextPort++, 0);
    talk.program = this.#vsock.connect();
    talk.state = 'greeted';
    this.#talks.push(talk);
    const line = `CONNECT ${talk.guestPort}\n`;
    const cut = this.#chances.below(line.length);
    talk.program.send(line.slice(0, cut));
    if (this.#chances.chance(0.5)) this.#turn();
    talk.program.send(line.slice(cut));
  }

  #talk(guestPort: number, hostPort: number): Talk {
    return {
      ...{ guestPort, hostPort, listener: undefined, program: undefined, state: 'asked' },
      seed: this.#chances.below(256),
      ...{ guestSent: 0, guestReceived: 0, guestTaken: 0, bufAlloc: 1 + this.#chances.below(60_000) },
      ...{ peerBufAlloc: 0, peerFwdCnt: 0, guestSentAll: false, programSent: 0, programReceived: 0 },
      ...{ programSentAll: false, programIsGone: false, answer: '', isAnswered: hostPort !== 0 },
      ...{ isTainted: false, isGarbled: false },
    };
  }

  #sendGuest(): void {
    const talk = this.#anOpen();
    if (talk === undefined || talk.guestSentAll) return;
    const credit = talk.peerBufAlloc - (talk.guestSent - talk.peerFwdCnt);
    const length = Math.min(credit, this.#chances.of([1, 100, MAX_DATA, 65536]));
    if (length <= 0) return this.#send(talk, { op: abi.VIRTIO_VSOCK_OP_CREDIT_REQUEST });
    const data = stream(talk.seed, talk.guestSent, length);
    talk.guestSent += length;
    this.#send(talk, { op: abi.VIRTIO_VSOCK_OP_RW, data });
  }

  #sendProgram(): void {
    const talk = this.#any(({ program }) => program !== undefined);
    if (talk?.program === undefined || talk.programSentAll || talk.programIsGone) return;
    const length = this.#chances.of([1, 100, MAX_DATA, 100_000]);
    const taken = talk.program.send(stream(talk.seed + 128, talk.programSent, length));
    if (taken > 0) talk.programSent += taken;
  }

  #receiveProgram(): void {
    const talk = this.#any(({ program }) => program !== undefined);
    if (talk !== undefined) this.#read(talk, this.#chances.of([1, 500, 50_000, 300_000]));
  }

  /** False: there was nothing. */
  #read(talk: Talk, lengthBytes: number): boolean {
    if (talk.program === undefined || talk.programIsGone) return false;
    const bytes = talk.program.receive(lengthBytes);
    if (bytes === undefined || bytes.length === 0) return false;
    let data = bytes;
    while (!talk.isAnswered && data.length > 0) {
      talk.answer += String.fromCharCode(data[0] ?? 0);
      data = data.subarray(1);
      if (!talk.answer.endsWith('\n')) continue;
      assert.equal(talk.answer, `OK ${talk.hostPort}\n`);
      talk.isAnswered = true;
    }
    if (talk.isGarbled) return true;
    const expected = stream(talk.seed, talk.programReceived, data.length);
    assert.ok(Buffer.compare(data, expected) === 0, 'the program receives what the guest has sent');
    talk.programReceived += data.length;
    assert.ok(talk.programReceived <= talk.guestSent, 'nothing is made up');
    return true;
  }

  #offer(): void {
    for (let count = this.#chances.below(12); count > 0 && this.#vsock.rxFree >= 4; count--) {
      const sizes = this.#chances.of([[4096], [44, 4096], [1, 50], [100], [20, 20, 20, 3000], [70_000]]);
      this.#vsock.offer(sizes.map((it) => writable(it)));
    }
    this.#vsock.kick(0);
  }

  /** The guest's program reads: there is credit for the host again. */
  #takeGuest(): void {
    const talk = this.#anOpen();
    if (talk === undefined) return;
    talk.guestTaken += this.#chances.below(talk.guestReceived - talk.guestTaken + 1);
    this.#send(talk, { op: abi.VIRTIO_VSOCK_OP_CREDIT_UPDATE });
  }

  #end(): void {
    const talk = this.#anOpen();
    if (talk === undefined) return;
    const how = this.#chances.below(5);
    if (how === 0) {
      talk.guestSentAll = true;
      this.#send(talk, { op: abi.VIRTIO_VSOCK_OP_SHUTDOWN, flags: SEND });
    } else if (how === 1) {
      talk.programSentAll = true;
      talk.program?.endSending();
    } else if (how === 2) {
      talk.programIsGone = true;
      talk.program?.close();
    } else if (how === 3) {
      talk.guestSentAll = true;
      talk.state = 'over';
      this.#send(talk, { op: abi.VIRTIO_VSOCK_OP_SHUTDOWN, flags: SEND | RCV });
    } else {
      talk.state = 'over';
      talk.guestSentAll = true;
      this.#send(talk, { op: abi.VIRTIO_VSOCK_OP_RST });
    }
  }

  #pause(): void {
    this.#isPaused = !this.#isPaused;
    if (this.#isPaused) return this.#vsock.core.pause();
    this.#vsock.core.resume();
    for (const queue of [0, 1]) this.#vsock.kick(queue);
  }

  /** Anything but a driver's packet. */
  #sendWrong(): void {
    const { below, of } = this.#bound;
    const talk = this.#chances.chance(0.3) ? this.#anOpen() : undefined;
    if (talk !== undefined) talk.isTainted = talk.isGarbled = true;
    const odd = of([0, 1, 2, 3, 2 ** 31, 2 ** 32 - 1]);
    const data = new Uint8Array(below(3) === 0 ? 0 : below(2000));
    if (!this.#vsock.areTaken && this.#vsock.txFree < 8) return;
    const packet = {
      op: below(10),
      srcPort: talk?.guestPort ?? WRONG_PORT + below(4),
      dstPort: talk?.hostPort ?? of([OTHER_PORT, 2 ** 30 + below(4), odd]),
      srcCid: of([3, 3, 3, 3, 0, 2, 2 ** 32 + 3]),
      dstCid: of([2, 2, 2, 2, 1, 9, 2 ** 40]),
      type: of([1, 1, 1, 1, 2, 0, 0xffff]),
      flags: of([0, 1, 2, 3, odd]),
      len: of([data.length, data.length, odd, 65537, data.length + 1]),
      bufAlloc: of([odd, 1000]),
      fwdCnt: of([odd, 0]),
      data,
    };
    if (below(5) === 0) this.#vsock.putRaw([new Uint8Array(1 + below(43))]);
    else this.#vsock.put(packet, (all) => this.#cut(all));
    this.#vsock.kick(1);
  }

  get #bound(): { below: (limit: number) => number; of: <T>(values: readonly T[]) => T } {
    return { below: (limit) => this.#chances.below(limit), of: (values) => this.#chances.of(values) };
  }

  #anOpen(): Talk | undefined {
    return this.#any(({ state }) => state === 'open');
  }

  #any(isWanted: (talk: Talk) => boolean): Talk | undefined {
    const found = this.#talks.filter(isWanted);
    return found.length === 0 ? undefined : this.#chances.of(found);
  }

  #send(talk: Talk, packet: Partial<Packet> & Pick<Packet, 'op'>): void {
    while (!this.#vsock.areTaken && this.#vsock.txFree < 8) {
      if (this.#isPaused) this.#pause();
      this.#offer();
      this.#vsock.run();
      this.#hear();
    }
    const ends = { srcPort: talk.guestPort, dstPort: talk.hostPort };
    const credit = { bufAlloc: talk.bufAlloc, fwdCnt: talk.guestTaken >>> 0 };
    this.#vsock.put({ ...ends, ...credit, ...packet }, (all) => this.#cut(all));
    this.#vsock.kick(1);
  }

  #cut(all: Uint8Array): readonly Uint8Array[] {
    if (this.#chances.chance(0.6)) return [all];
    const inside = Array.from({ length: this.#chances.below(4) }, () => 1 + this.#chances.below(all.length));
    const ends = [...new Set([...inside, all.length])].sort((one, other) => one - other);
    return ends.map((end, i) => all.subarray(ends[i - 1] ?? 0, end));
  }

  // What is seen of it.

  /** Programs that the guest has connected to. */
  #letIn(): void {
    for (const talk of this.#talks) talk.program ??= talk.listener?.tryAccept();
  }

  #hear(): void {
    for (const packet of this.#vsock.received()) this.#accept(packet);
  }

  #accept(packet: Packet): void {
    assert.equal(packet.dstCid, 3);
    assert.equal(packet.len, packet.data.length);
    const talk = this.#talks.find((it) => it.guestPort === packet.dstPort && this.#isOf(it, packet));
    if (talk === undefined) {
      const isWrong = packet.dstPort >= WRONG_PORT || this.#hasWrongs;
      assert.ok(isWrong || packet.op === abi.VIRTIO_VSOCK_OP_RST, `a packet for nobody: ${packet.op}`);
      return;
    }
    talk.peerBufAlloc = packet.bufAlloc;
    talk.peerFwdCnt = packet.fwdCnt;
    switch (packet.op) {
      case abi.VIRTIO_VSOCK_OP_REQUEST:
        assert.equal(talk.state, 'greeted');
        talk.hostPort = packet.srcPort;
        if (this.#chances.chance(0.85)) {
          talk.state = 'open';
          return this.#send(talk, { op: abi.VIRTIO_VSOCK_OP_RESPONSE });
        }
        talk.state = 'over';
        return this.#send(talk, { op: abi.VIRTIO_VSOCK_OP_RST });
      case abi.VIRTIO_VSOCK_OP_RESPONSE:
        if (talk.state === 'asked') talk.state = 'open';
        return;
      case abi.VIRTIO_VSOCK_OP_RW:
        return this.#acceptData(talk, packet);
      case abi.VIRTIO_VSOCK_OP_RST:
        talk.state = 'over';
        talk.guestSentAll = true;
        return;
      default:
        assert.ok([4, 6, 7].includes(packet.op), `an operation of the host: ${packet.op}`);
    }
  }

  #isOf(talk: Talk, { op, srcPort }: Packet): boolean {
    return op === abi.VIRTIO_VSOCK_OP_REQUEST ? talk.state === 'greeted' : talk.hostPort === srcPort;
  }

  #acceptData(talk: Talk, { data, op }: Packet): void {
    assert.equal(op, abi.VIRTIO_VSOCK_OP_RW);
    const expected = stream(talk.seed + 128, talk.guestReceived, data.length);
    assert.ok(Buffer.compare(data, expected) === 0, 'the guest receives what the program has sent');
    talk.guestReceived += data.length;
    assert.ok(talk.guestReceived <= talk.programSent, 'nothing is made up');
    const waiting = talk.guestReceived - talk.guestTaken;
    if (!talk.isTainted) assert.ok(waiting <= talk.bufAlloc, "the guest's buffer is not overrun");
  }

  // The end.

  /** Nothing fails any more, and everybody takes what there is. */
  #finish(): void {
    if (this.#isPaused) this.#pause();
    for (let idle = 0; idle < 3; idle++) {
      const before = this.#progress;
      this.#offer();
      this.#offer();
      this.#vsock.run();
      this.#vsock.wait(0);
      this.#letIn();
      this.#hear();
      for (const talk of this.#talks) {
        while (this.#read(talk, 300_000)) this.#vsock.run();
        if (talk.state !== 'open' || talk.guestTaken === talk.guestReceived) continue;
        talk.guestTaken = talk.guestReceived;
        this.#send(talk, { op: abi.VIRTIO_VSOCK_OP_CREDIT_UPDATE });
      }
      if (this.#progress !== before) idle = 0;
    }
    for (const talk of this.#talks) this.#checkEnd(talk);
    this.#checkFree();
  }

  get #progress(): number {
    const { packetsFromGuest, packetsToGuest } = this.#vsock.block.regs;
    return this.#talks.reduce(
      (sum, it) => sum + it.programReceived + it.guestReceived,
      packetsFromGuest + packetsToGuest,
    );
  }

  #checkEnd(talk: Talk): void {
    if (talk.isTainted || talk.program === undefined) return;
    assert.notEqual(talk.state, 'greeted', 'the guest was asked');
    const { state, guestSent, programSent, programReceived, guestReceived } = talk;
    if (!talk.programIsGone && talk.isAnswered)
      assert.equal(programReceived, guestSent, 'the program has all that the guest has sent');
    if (state === 'open')
      assert.equal(guestReceived, programSent, 'the guest has all that the program has sent');
  }

  /** The driver's reset, and the end of all programs, leave nothing. */
  #checkFree(): void {
    this.#vsock.core.pause();
    this.#vsock.core.reset();
    for (const { program } of this.#talks) program?.close();
    this.#vsock.core.resume();
    this.#vsock.run();
    const { state } = this.#vsock.core.connections.table;
    const left = Array.from({ length: MAX_CONNECTIONS }, (_, row) => state[row]).filter(
      (it) => it !== STATE.free,
    );
    assert.deepEqual(left, []);
    assert.deepEqual(this.#vsock.broken, []);
  }
}

/** What is in a stream, from a byte of it on. */
function stream(seed: number, from: number, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  for (let i = 0; i < lengthBytes; i++) bytes[i] = (from + i) * 7 + ((from + i) >> 8) * 31 + seed;
  return bytes;
}
