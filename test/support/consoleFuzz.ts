/** Drivers of the virtio console, right and wrong ones. */
import assert from 'node:assert/strict';
import { CONSOLE_STATE } from '../../vmm-core/devices/virtio/console/consoleState.ts';
import { virtioConsole } from '../../vmm-core/devices/virtio/console/virtioConsole.ts';
import { NamedConsoles } from './consoleMachine.ts';
import { randomNumbers } from './devices.ts';
import { MockDriver, readable, writable } from './mockDriver.ts';
import { MmioDriver, VirtioMachine } from './virtioMachine.ts';

type Random = (below: number) => number;

/** All that a driver sends is heard, in order, and all that is typed it gets, however both are cut. */
export function consoleRound(seed: number): void {
  if (seed % 2 === 0) return singleRound(randomNumbers(seed + 1));
  namedRound(randomNumbers(seed + 1));
}

function singleRound(random: Random): void {
  const receive = new MockDriver({ size: 16, hasEventIdx: true });
  const transmit = new MockDriver({ size: 16, base: 0x4_0000, memory: receive.memory, hasEventIdx: true });
  const serial = Array<{ kind: 'client' }>(5).fill({ kind: 'client' });
  const config = { virtio: 'mmio', serial } as const;
  const machine = new VirtioMachine(virtioConsole, CONSOLE_STATE, receive.memory, config);
  const driver = new MmioDriver(machine);
  driver.start([receive.rings, transmit.rings]);
  const [line] = machine.backend?.serial ?? [];
  assert.ok(line !== undefined);
  const heard: Uint8Array[] = [];
  line.port.attach((bytes) => void heard.push(bytes));
  const [sent, typed, got]: Buffer[][] = [[], [], []];
  assert.ok(sent !== undefined && typed !== undefined && got !== undefined);
  const take = (): void => {
    for (const { head, writtenBytes } of receive.used())
      got.push(Buffer.from(receive.bytesOf(head)).subarray(0, writtenBytes));
    transmit.used();
  };
  for (let step = 0; step < 60; step++) {
    machine.isMainBusy = random(2) === 0;
    const bytes = Buffer.from(Array.from({ length: random(40) }, () => random(256)));
    if (random(2) === 0) {
      line.type(bytes);
      typed.push(bytes);
    } else if (bytes.length > 0) {
      const cut = random(bytes.length);
      transmit.addChain([
        readable(bytes.subarray(0, cut)),
        readable(bytes.subarray(cut)),
        writable(random(4)),
      ]);
      sent.push(bytes);
    }
    if (random(2) === 0) receive.addChain([writable(random(30))]);
    if (random(8) === 0) line.resize?.(1 + random(300), 1 + random(100));
    driver.kick(random(3));
    machine.isMainBusy = false;
    driver.kick(1);
    machine.turn();
    take();
  }
  assert.deepEqual(Buffer.concat(heard), Buffer.concat(sent));
  const all = Buffer.concat(typed);
  const delivered = Buffer.concat(got);
  assert.deepEqual(delivered, all.subarray(0, delivered.length));
}

const NAMED = ['one', 'two', 'three'];

/**
 * Whatever is said on the control queues, nothing throws; a port never gets what was typed into another; and
 * a driver that begins anew hears of all ports.
 */
function namedRound(random: Random): void {
  const target = { kind: 'client' } as const;
  const consoles = new NamedConsoles(NAMED.map((name, i) => ({ name, target, isConsole: i === 0 })));
  const { machine, driver } = consoles;
  const heard = NAMED.map((_, i) => consoles.hear(i + 1));
  const sent = NAMED.map(() => '');
  if (random(2) === 0) consoles.begin();
  for (let step = 0; step < 60; step++) {
    machine.isMainBusy = random(2) === 0;
    const id = 1 + random(NAMED.length);
    switch (random(6)) {
      case 0:
        consoles.say(random(4) === 0 ? random(2 ** 32) : random(5), random(9), random(3));
        break;
      case 1:
        consoles.sayBytes(Uint8Array.from({ length: 1 + random(12) }, () => random(256)));
        break;
      case 2:
        consoles.line(id).type(Buffer.from(String(id)));
        break;
      case 3:
        consoles.line(id).resize?.(1 + random(300), 1 + random(100));
        break;
      case 4:
        driver.kick(random(40));
        break;
      default:
        consoles.queue(2 + 2 * id + 1).addChain([readable(Buffer.from(String(id)))]);
        driver.kick(3 + 2 * id);
        sent[id - 1] += String(id);
    }
    machine.isMainBusy = false;
    machine.turn();
    consoles.told();
    for (let port = 1; port <= NAMED.length; port++) {
      consoles.queue(3 + 2 * port).used();
      receiveOwn(consoles, port, random(2) === 0);
    }
  }
  assert.equal(machine.brokenRule, '');
  assert.deepEqual(
    heard.map((it) => it()),
    sent,
  );
  driver.status = 0;
  machine.turn();
  consoles.connect();
  const names = consoles.begin().filter(({ event }) => event === 7);
  assert.deepEqual(
    names.map(({ payload }) => payload),
    NAMED,
  );
}

function receiveOwn(consoles: NamedConsoles, port: number, givesMore: boolean): void {
  const queue = consoles.queue(2 + 2 * port);
  for (const { head, writtenBytes } of queue.used())
    for (const byte of queue.bytesOf(head).subarray(0, writtenBytes)) assert.equal(byte, 0x30 + port);
  if (!givesMore || queue.availIdx > 200) return;
  try {
    queue.addChain([writable(4)]);
  } catch {
    return; // all are the device's
  }
  consoles.driver.kick(2 + 2 * port);
}
