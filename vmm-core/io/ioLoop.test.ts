import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EPOLLIN } from '../abi/epoll.ts';
import type { IoEngine, IoEvents } from '../bus/ioEngine.ts';
import { FakePoller } from '../../test/support/fakePoller.ts';
import type { Poller } from '../bus/poller.ts';
import type { DeviceService, IoSlots } from '../devices/deviceService.ts';
import { IovecTable } from '../kvm/io/iovecTable.ts';
import { IoLoop } from './ioLoop.ts';
import type { IoCommand, IoMessage } from './messages.ts';

const WAKE_FD = 100;
const SLOTS = 8;

/** Its waits end with what the test says happens meanwhile. */
class ScriptedEngine implements IoEngine {
  readonly name = 'scripted';
  readonly slots = SLOTS;
  readonly iovecs = new IovecTable(0, []);
  readonly readv = unexpected;
  readonly writev = unexpected;
  readonly writevNow = unexpected;
  readonly fdatasync = unexpected;
  readonly pollers: FakePoller[] = [];
  readonly watched = new Map<number, number>();
  readonly waits: number[] = [];
  isClosed = false;
  /** For the next wait. */
  happens: (events: IoEvents) => void = () => undefined;

  watch(tag: number, eventFd: number): void {
    this.watched.set(eventFd, tag);
  }
  unwatch(tag: number): void {
    for (const [fd, it] of this.watched) if (it === tag) this.watched.delete(fd);
  }
  openPoller(onReady: (tag: number, events: number) => void): Poller {
    const poller = new FakePoller(onReady);
    this.pollers.push(poller);
    return poller;
  }
  wait(timeoutMs: number, events: IoEvents): void {
    this.waits.push(timeoutMs);
    const { happens } = this;
    this.happens = () => undefined;
    happens(events);
  }
  close(): void {
    this.isClosed = true;
  }
  /** The tag an eventfd is watched under. */
  tag(eventFd: number): number {
    return this.watched.get(eventFd) ?? assert.fail(`${eventFd} is not watched`);
  }
}

function unexpected(): never {
  assert.fail('the loop itself asks for no I/O');
}

class RecordedService implements DeviceService {
  readonly told: string[] = [];
  isIdle = true;
  readonly io: IoSlots;

  constructor(io: IoSlots) {
    this.io = io;
  }
  onKick(doorbell: number): void {
    this.told.push(`kick ${doorbell}`);
  }
  onDone(slot: number, result: number): void {
    this.told.push(`done ${slot} ${result}`);
  }
  onAllDone(): void {
    this.told.push('all done');
  }
  onSlotFree(): void {
    this.told.push('slot');
  }
  onTimer(): void {
    this.told.push('timer');
  }
  onReady(tag: number, events: number): void {
    this.told.push(`ready ${tag} ${events}`);
  }
  onWake(): void {
    this.told.push('wake');
  }
  onMessage(message: unknown): void {
    this.told.push(`message ${String(message)}`);
  }
  pause(): void {
    this.told.push('pause');
  }
  resume(): void {
    this.told.push('resume');
  }
  close(): void {
    this.told.push('close');
  }
}

function newLoop(devices: readonly (readonly number[])[] = [[10, 11], [20]]) {
  const engine = new ScriptedEngine();
  const commands: IoCommand[] = [];
  const posted: IoMessage[] = [];
  const services: RecordedService[] = [];
  const loop = new IoLoop(
    {
      engine,
      wakeFd: WAKE_FD,
      nextCommand: () => commands.shift(),
      post: (message) => posted.push(message),
    },
    devices.map((doorbellFds, i) => ({
      device: 5 + i,
      doorbellFds,
      serve: (io) => {
        const service = new RecordedService(io);
        services.push(service);
        return service;
      },
    })),
  );
  loop.turn(); // it looks at what came before it began
  for (const { told } of services) assert.deepEqual(told.splice(0), ['wake']);
  engine.waits.length = 0;
  const command = (it: IoCommand): void => {
    commands.push(it);
    engine.happens = (events) => events.onReady(engine.tag(WAKE_FD));
    loop.turn();
  };
  const [one = assert.fail(), other = assert.fail()] = services;
  return { engine, loop, posted, one, other, command };
}

test('while there is nothing to do it waits for ever', () => {
  const { engine, loop } = newLoop();
  loop.turn();
  loop.turn();
  assert.deepEqual(engine.waits, [-1, -1]);
});

test('a doorbell kicks its device, by its number there', () => {
  const { engine, loop, one, other } = newLoop();
  engine.happens = (events) => {
    events.onReady(engine.tag(11));
    events.onReady(engine.tag(20));
  };
  loop.turn();
  assert.deepEqual([one.told, other.told], [['kick 1'], ['kick 0']]);
});

test('a doorbell that a service has lent is watched by whoever has it, until it is taken back', () => {
  const { engine, loop, other } = newLoop();
  const tag = engine.tag(20);
  assert.equal(other.io.lendDoorbell(0), 20);
  assert.deepEqual([...engine.watched.keys()], [WAKE_FD, 10, 11]);
  assert.throws(() => other.io.lendDoorbell(1), /no doorbell 1/);
  other.io.takeBackDoorbell(0);
  assert.equal(engine.tag(20), tag);
  engine.happens = (events) => events.onReady(tag);
  loop.turn();
  assert.deepEqual(other.told, ['kick 0']);
});

test('completions go to the service that has the slot, and then it hears that these were all', () => {
  const { engine, loop, one, other } = newLoop();
  const slot = other.io.takeSlot();
  const another = other.io.takeSlot();
  engine.happens = (events) => {
    events.onDone(slot, 512);
    events.onDone(another, -5);
  };
  loop.turn();
  loop.turn();
  assert.deepEqual([one.told, other.told], [[], [`done ${slot} 512`, `done ${another} -5`, 'all done']]);
});

test('each service has its share of the slots, and hears when one is free again that it had to do without', () => {
  const { loop, one, other } = newLoop();
  const slots = Array.from({ length: SLOTS / 2 }, () => one.io.takeSlot());
  assert.equal(one.io.takeSlot(), -1);
  const others = Array.from({ length: SLOTS / 2 }, () => other.io.takeSlot());
  assert.equal(new Set([...slots, ...others]).size, SLOTS);
  loop.turn();
  assert.deepEqual(one.told, []);
  one.io.giveSlot(slots[2] ?? -1);
  other.io.giveSlot(others[0] ?? -1);
  loop.turn();
  loop.turn();
  assert.deepEqual([one.told, other.told], [['slot'], []]);
  assert.equal(one.io.takeSlot(), slots[2]);
});

test('a timer bounds the wait, and of several the earliest counts', () => {
  const { engine, loop, one, other } = newLoop();
  one.io.arm(60_000);
  one.io.arm(30_000);
  other.io.arm(45_000);
  loop.turn();
  const [waitMs = assert.fail()] = engine.waits;
  assert.ok(waitMs > 0 && waitMs <= 30_000);
  other.io.arm(0);
  loop.turn();
  assert.equal(engine.waits[1], 0);
  assert.deepEqual([one.told, other.told], [[], ['timer']]);
});

test('a wait has the length that the kernel can be asked for, however late a timer is due', () => {
  const { engine, loop, one } = newLoop();
  one.io.arm(2 ** 32 * 1000);
  loop.turn();
  assert.deepEqual(engine.waits, [2 ** 31 - 1]);
});

test('a service has a poller once it asks for one, and is told of what is ready there', () => {
  const { engine, loop, one, other } = newLoop();
  assert.deepEqual(engine.pollers, []);
  const { poller } = other.io;
  poller.add(33, 7, EPOLLIN);
  assert.equal(other.io.poller, poller);
  engine.happens = () => engine.pollers[0]?.ready(33);
  loop.turn();
  assert.deepEqual([one.told, other.told], [[], [`ready 7 ${EPOLLIN}`, 'all done']]);
});

test('being woken looks for commands, and has all services look too', () => {
  const { one, other, command } = newLoop();
  command({ kind: 'send', device: 6, message: 'resize' });
  assert.deepEqual([one.told, other.told], [['wake'], ['message resize', 'wake']]);
});

test('it is quiet when the last service has nothing under way, and goes on when told', () => {
  const { loop, posted, one, other, command } = newLoop();
  one.isIdle = false;
  command({ kind: 'quiesce' });
  loop.turn();
  assert.deepEqual(posted, []);
  one.isIdle = true;
  loop.turn();
  loop.turn();
  assert.deepEqual(posted, [{ kind: 'quiet' }]);
  command({ kind: 'resume' });
  assert.deepEqual(other.told, ['pause', 'wake', 'resume', 'wake']);
});

test('it is closed only when nothing is under way, services before the engine, and ends then', () => {
  const { engine, loop, posted, one, other, command } = newLoop();
  other.isIdle = false;
  command({ kind: 'close' });
  assert.ok(!engine.isClosed);
  other.isIdle = true;
  loop.run();
  assert.ok(engine.isClosed);
  assert.deepEqual([one.told.at(-1), other.told.at(-1)], ['close', 'close']);
  assert.deepEqual(posted, [{ kind: 'closed' }]);
});
