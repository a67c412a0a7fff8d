/**
 * A seeded member of a switch that keeps no rule: greetings that are none, descriptors that are others, bytes
 * anywhere in the rings that it shares, messages and disconnects at any time. Two that keep the rules must
 * not notice: their frames arrive, in order, and nothing of it is left open.
 */
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync, rmSync } from 'node:fs';
import path from 'node:path';
import { AF_UNIX, SOCK_SEQPACKET } from '../../vmm-core/abi/socket.ts';
import { MAX_FRAME_BYTES } from '../../vmm-core/backends/net/netLink.ts';
import { MAX_RECORD_BYTES, SWITCH_VERSION } from '../../vmm-core/backends/net/switch/greeting.ts';
import { frameRingBytes, FrameWriter } from '../../vmm-core/bus/frameRing.ts';
import { closeFd, createEventFd, mapOver } from '../../vmm-core/kvm/libc.ts';
import { createMemfd, fixedMemfdSize, receiveFds, sendFds } from '../../vmm-core/kvm/net/fdPassing.ts';
import { connectSocket, openSocket } from '../../vmm-core/kvm/net/sockets.ts';
import { IoBuffer } from '../../vmm-core/memory/ioBuffer.ts';
import { log } from '../../vmm-core/log.ts';
import { seededRandom } from './bytes.ts';
import { Chances } from './chances.ts';
import type { FakeGuestPort } from './fakeGuestPort.ts';
import { ethernetFrame, member, members, newFolder, settle, texts } from './switchMembers.ts';

const STEPS = 80;
const RING = frameRingBytes(4 * 2 ** 20);
/** Of a ring: its words, and the lengths of the first records, are where it hurts. */
const HOT_BYTES = 0x2000;
const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/** One connection of the hostile member. */
interface Line {
  readonly fd: number;
  /** What it has given, and what the other has given it. */
  own: IoBuffer | undefined;
  writer: FrameWriter | undefined;
  theirs: IoBuffer | undefined;
}

export function switchRound(seed: number): void {
  const before = openDescriptors();
  const { level } = log;
  log.setLevel('error');
  try {
    new SwitchRound(seed).run();
  } finally {
    log.setLevel(level);
  }
  assert.equal(openDescriptors(), before, 'every descriptor is closed');
}

class SwitchRound {
  readonly #it: Chances;
  readonly #folder = newFolder();
  readonly #one;
  readonly #other;
  readonly #lines: Line[] = [];
  #sent = 0;

  constructor(seed: number) {
    this.#it = new Chances(seededRandom(seed));
    this.#one = member(this.#folder, 1, { mtu: this.#it.of([68, 1500, 65535]) });
    this.#other = member(this.#folder, 2);
  }

  run(): void {
    const ports = [this.#one.port, this.#other.port] as const;
    settle(ports, () => knows(ports[0], 'vm2') && knows(ports[1], 'vm1'));
    for (let step = 0; step < STEPS; step++) {
      this.#step();
      this.#exchange();
    }
    for (const { fd } of this.#lines) closeFd(fd);
    this.#one.leave();
    this.#other.leave();
    rmSync(this.#folder, { recursive: true });
  }

  #step(): void {
    const it = this.#it;
    const line = it.of(this.#lines) as Line | undefined;
    if (line === undefined || (this.#lines.length < 6 && it.chance(0.2))) return this.#connect();
    if (line.own === undefined && it.chance(0.5)) return this.#greet(line);
    switch (it.below(6)) {
      case 0:
        return this.#scribble(line.own);
      case 1:
        return this.#scribble(line.theirs);
      case 2:
        return this.#frames(line);
      case 3:
        return this.#listen(line);
      case 4:
        return this.#say(line);
      default:
        if (!it.chance(0.3)) return this.#frames(line);
        closeFd(line.fd);
        this.#lines.splice(this.#lines.indexOf(line), 1);
    }
  }

  #connect(): void {
    const sockets = readdirSync(this.#folder).filter((name) => name.endsWith('.port'));
    const fd = openSocket(AF_UNIX, SOCK_SEQPACKET);
    connectSocket(fd, { family: 'unix', path: path.join(this.#folder, this.#it.of(sockets)) });
    this.#lines.push({ fd, own: undefined, writer: undefined, theirs: undefined });
  }

  /** Right, mostly. */
  #greet(line: Line): void {
    const it = this.#it;
    const isRight = it.chance(0.7);
    const memory = createMemfd('fuzz', isRight ? RING : it.of([4096, RING - 4096, RING + 4096]));
    const extra = it.chance(0.5) ? createEventFd() : createMemfd('fuzz', 4096);
    const fds = isRight
      ? [memory]
      : it.of([[], [extra], [memory, extra], [extra, memory], Array<number>(16).fill(extra)]);
    const lladdr = 'fe:e1:bb:d0:00:0a';
    const good = { version: SWITCH_VERSION, id: `x${it.below(4)}.port`, vm: 'x', lladdr, mtu: 1500 };
    const greeting =
      isRight || it.chance(0.3)
        ? good
        : { ...good, [it.of(['id', 'mtu', 'vm', 'lladdr'])]: it.of([-1, null, '', 'x'.repeat(300)]) };
    const bytes = Buffer.from(JSON.stringify(greeting));
    if (!isRight && it.chance(0.3)) bytes[it.below(bytes.length)] = it.below(256);
    if (sendFds(line.fd, bytes, fds) > 0 && isRight) {
      line.own = new IoBuffer(RING);
      mapOver(line.own.bytes, memory);
    }
    closeFd(memory);
    closeFd(extra);
  }

  /** Messages of no meaning, with descriptors or without. */
  #say({ fd }: Line): void {
    const extra = createEventFd();
    for (let i = this.#it.below(100); i >= 0; i--)
      sendFds(fd, new Uint8Array(1 + this.#it.below(600)), this.#it.chance(0.2) ? [extra] : []);
    closeFd(extra);
  }

  /** The other's greeting, with the memory that frames for it go to. */
  #listen(line: Line): void {
    const passed = receiveFds(line.fd);
    if (typeof passed === 'number') return;
    const [memory] = passed.fds;
    if (memory !== undefined && fixedMemfdSize(memory) === RING) {
      line.theirs = new IoBuffer(RING);
      mapOver(line.theirs.bytes, memory);
      line.writer = new FrameWriter(line.theirs.bytes);
    }
    passed.fds.forEach(closeFd);
  }

  #scribble(memory: IoBuffer | undefined): void {
    if (memory === undefined) return;
    const words = new Uint32Array(memory.bytes.buffer, memory.bytes.byteOffset, RING / 4);
    const it = this.#it;
    for (let i = it.below(8); i >= 0; i--) {
      const at = it.chance(0.7)
        ? it.of([0, 16, 32, 1024, 1025])
        : it.below((it.chance(0.5) ? HOT_BYTES : RING) / 4);
      words[at] = it.of([
        0,
        1,
        8,
        it.below(0x10000),
        MAX_RECORD_BYTES + 1,
        0x7fff_ffff,
        0xffff_ffff,
        it.below(2 ** 32),
      ]);
    }
  }

  /** As the ring has them, but of anything. */
  #frames({ fd, writer }: Line): void {
    const it = this.#it;
    for (let i = it.below(20); i >= 0 && writer !== undefined; i--) {
      const lengthBytes = it.of([1, 11, 12, 26, it.below(2000) + 1, it.below(MAX_FRAME_BYTES) + 1]);
      const room = writer.reserve(lengthBytes);
      if (room === undefined) return;
      // Never from the honest ones, whose frames would go astray, as in any switch.
      for (let at = 0; at < Math.min(room.length, 120); at++)
        room[at] = at === 18 ? 2 : it.of([0, 0, 1, 3, 255, it.below(256)]);
      writer.publish(lengthBytes);
    }
    sendFds(fd, new Uint8Array(1), []);
  }

  #exchange(): void {
    const pair = [this.#one.port, this.#other.port] as const;
    const [from, to] = this.#it.chance(0.5) ? pair : [pair[1], pair[0]];
    const text = `honest ${this.#sent++}`;
    from.send(ethernetFrame(this.#it.chance(0.3) ? BROADCAST : to.mac, from.mac, text));
    settle(pair, () => texts(to).includes(text));
    for (const it of pair) {
      assert.deepEqual(it.troubles, []);
      it.frames.length = 0;
      it.drops.length = 0;
    }
  }
}

function knows(port: FakeGuestPort, vm: string): boolean {
  return members(port).some((it) => it.vm === vm);
}

/** Of what a switch opens: other threads of a test open descriptors of other kinds. */
function openDescriptors(): number {
  return readdirSync('/proc/self/fd').filter(isOurs).length;
}

function isOurs(fd: string): boolean {
  try {
    return /^socket:|memfd:/.test(readlinkSync(`/proc/self/fd/${fd}`));
  } catch {
    return false; // the one that lists them
  }
}
