import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NamedConsoles } from '../../../../test/support/consoleMachine.ts';
import { readable, writable } from '../../../../test/support/mockDriver.ts';
import {
  VIRTIO_CONSOLE_CONSOLE_PORT as CONSOLE_PORT,
  VIRTIO_CONSOLE_DEVICE_READY as DEVICE_READY,
  VIRTIO_CONSOLE_F_MULTIPORT,
  VIRTIO_CONSOLE_PORT_ADD as PORT_ADD,
  VIRTIO_CONSOLE_PORT_NAME as PORT_NAME,
  VIRTIO_CONSOLE_PORT_OPEN as PORT_OPEN,
  VIRTIO_CONSOLE_PORT_READY as PORT_READY,
  VIRTIO_CONSOLE_RESIZE as RESIZE,
} from '../../../abi/virtioConsole.ts';
import * as abi from '../../../abi/virtioMmio.ts';
import { CONTROL_RECEIVEQ, CONTROL_TRANSMITQ, receiveqOf, transmitqOf } from './consoleState.ts';

const TO_CLIENT = { kind: 'client' } as const;
const AGENT = { name: 'org.example.agent', target: TO_CLIENT };
/** Of a chain that takes several goes. */
const LONG_BYTES = 0x8_0000;
const SHELL = { name: 'shell', target: TO_CLIENT, isConsole: true };

describe('named ports of the virtio console (§5.3.6.2)', () => {
  it('are added when the driver is ready, and introduced when it has added them', () => {
    const consoles = new NamedConsoles([AGENT, SHELL]);
    assert.deepEqual(consoles.told(), [], 'the driver speaks first');
    consoles.say(0xffff_ffff, DEVICE_READY, 1);
    assert.deepEqual(
      consoles.told().map(({ id, event }) => [id, event]),
      [
        [1, PORT_ADD],
        [2, PORT_ADD],
      ],
    );
    consoles.say(1, PORT_READY, 1);
    assert.deepEqual(consoles.told(), [
      { id: 1, event: PORT_NAME, value: 1, payload: AGENT.name },
      { id: 1, event: PORT_OPEN, value: 1, payload: '' },
    ]);
    consoles.say(2, PORT_READY, 1);
    assert.deepEqual(
      consoles.told().map(({ id, event }) => [id, event]),
      [
        [2, CONSOLE_PORT],
        [2, PORT_NAME],
        [2, PORT_OPEN],
      ],
    );
  });

  it('carry their bytes both ways, each by its own queues', () => {
    const consoles = new NamedConsoles([AGENT, SHELL]);
    consoles.begin();
    consoles.open(1);
    consoles.open(2);
    const [first, second] = [consoles.hear(1), consoles.hear(2)];
    consoles.queue(transmitqOf(1)).addChain([readable(Buffer.from('from the agent'))]);
    consoles.driver.kick(transmitqOf(1));
    consoles.queue(transmitqOf(2)).addChain([readable(Buffer.from('from the shell'))]);
    consoles.driver.kick(transmitqOf(2));
    assert.deepEqual([first(), second()], ['from the agent', 'from the shell']);
    const input = consoles.queue(receiveqOf(2));
    const head = input.addChain([writable(16)]);
    consoles.driver.kick(receiveqOf(2));
    consoles.line(2).type(Buffer.from('ls\n'));
    assert.deepEqual(input.used(), [{ head, writtenBytes: 3 }]);
    assert.equal(Buffer.from(input.bytesOf(head)).subarray(0, 3).toString(), 'ls\n');
    assert.deepEqual(consoles.queue(receiveqOf(1)).used(), []);
  });

  it('keep what is typed until the driver opens them, and again after it closes them', () => {
    const consoles = new NamedConsoles([AGENT]);
    consoles.begin();
    const input = consoles.queue(receiveqOf(1));
    const head = input.addChain([writable(16)]);
    input.addChain([writable(16)]);
    consoles.driver.kick(receiveqOf(1));
    consoles.line(1).type(Buffer.from('early'));
    assert.deepEqual(input.used(), []);
    consoles.open(1);
    assert.deepEqual(input.used(), [{ head, writtenBytes: 5 }]);
    consoles.open(1, false);
    consoles.line(1).type(Buffer.from('late'));
    assert.deepEqual(input.used(), []);
  });

  it('have the size of their terminal if they are consoles, the last one that was told', () => {
    const consoles = new NamedConsoles([AGENT, SHELL]);
    consoles.line(1).resize?.(80, 24);
    consoles.line(2).resize?.(80, 24);
    consoles.line(2).resize?.(132, 43);
    const sizes = consoles.begin().filter(({ event }) => event === RESIZE);
    assert.deepEqual(
      sizes.map(({ id, payload }) => [id, ...Buffer.from(payload, 'latin1')]),
      [[2, 132, 0, 43, 0]],
    );
    consoles.line(2).resize?.(258, 50);
    assert.deepEqual([...Buffer.from(consoles.told()[0]?.payload ?? '', 'latin1')], [2, 1, 50, 0]);
  });

  it('are not told of in a buffer that is too small, but in the next', () => {
    const consoles = new NamedConsoles([AGENT]);
    const queue = consoles.queue(CONTROL_RECEIVEQ);
    consoles.say(0, DEVICE_READY, 1);
    consoles.told();
    while (queue.used().length > 0);
    consoles.say(1, PORT_READY, 0);
    // Its buffers come first: fill them with repeated introductions.
    for (let i = 0; i < 8; i++) consoles.say(0, DEVICE_READY, 1);
    queue.used();
    const small = queue.addChain([writable(8)]);
    const large = queue.addChain([writable(4), writable(60)]);
    consoles.say(1, PORT_READY, 1);
    const [first, second] = queue.used();
    assert.deepEqual(first, { head: small, writtenBytes: 0 });
    assert.deepEqual(second, { head: large, writtenBytes: 8 + AGENT.name.length });
  });

  it('do nothing for messages that are short, of no port, or not known', () => {
    const consoles = new NamedConsoles([AGENT]);
    consoles.begin();
    consoles.sayBytes(Uint8Array.of(1, 0, 0, 0, 3, 0, 1));
    consoles.say(9, PORT_READY, 1);
    consoles.say(0, PORT_OPEN, 1);
    consoles.say(1, 77, 1);
    consoles.say(1, PORT_ADD, 1);
    assert.deepEqual(consoles.told(), []);
    assert.equal(consoles.machine.brokenRule, '');
  });

  it('read a message that is cut into single bytes', () => {
    const consoles = new NamedConsoles([AGENT]);
    consoles.sayBytes(...[0, 0, 0, 0, 0, 0, 1, 0].map((it) => Uint8Array.of(it)));
    assert.deepEqual(
      consoles.told().map(({ event }) => event),
      [PORT_ADD],
    );
  });

  it('take a bounded number of messages at a time, and hold no more than one of each', () => {
    const consoles = new NamedConsoles([AGENT]);
    const { machine, driver } = consoles;
    consoles.begin();
    machine.isMainBusy = true;
    const queue = consoles.queue(CONTROL_TRANSMITQ);
    const ready = Uint8Array.of(1, 0, 0, 0, PORT_READY, 0, 1, 0);
    for (let i = 0; i < 16; i++) queue.addChain([readable(ready)]);
    driver.kick(CONTROL_TRANSMITQ);
    machine.turn();
    assert.equal(consoles.told().length, 2);
  });

  it('go on with a chain that is half sent when a queue of another is reset (§2.6.1)', () => {
    const consoles = new NamedConsoles([AGENT, SHELL]);
    const { machine, driver } = consoles;
    consoles.begin();
    const heard = [consoles.hear(1), consoles.hear(2)] as const;
    machine.isMainBusy = true;
    const queue = consoles.queue(transmitqOf(1));
    queue.addChain([readable(LONG_BYTES, 0x20_0000)]);
    consoles.queue(transmitqOf(2)).addChain([readable(LONG_BYTES, 0x30_0000)]);
    for (const id of [1, 2]) driver.kick(transmitqOf(id));
    machine.turn();
    const before = heard.map((it) => it().length);
    assert.ok(before.every((it) => it > 0 && it < LONG_BYTES));
    driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, transmitqOf(2));
    driver.write(abi.VIRTIO_MMIO_QUEUE_RESET, 1);
    for (let go = 0; go < 20; go++) machine.turn();
    assert.deepEqual(
      heard.map((it) => it().length),
      [LONG_BYTES, before[1]],
    );
    assert.equal(queue.used().length, 1);
    assert.equal(machine.brokenRule, '');
  });

  it('begin anew after a reset, closed', () => {
    const consoles = new NamedConsoles([AGENT]);
    consoles.begin();
    consoles.open(1);
    consoles.driver.status = 0;
    consoles.machine.turn();
    consoles.connect();
    const input = consoles.queue(receiveqOf(1));
    input.addChain([writable(16)]);
    consoles.driver.kick(receiveqOf(1));
    consoles.line(1).type(Buffer.from('x'));
    assert.deepEqual(input.used(), []);
    assert.equal(consoles.begin().length, 3);
    consoles.open(1);
    assert.equal(input.used().length, 1);
  });

  it('are not there for a driver without MULTIPORT, which may send to port 0 into nothing', () => {
    const consoles = new NamedConsoles([AGENT]);
    consoles.driver.status = 0;
    consoles.machine.turn();
    consoles.connect([VIRTIO_CONSOLE_F_MULTIPORT]);
    consoles.line(1).type(Buffer.from('x'));
    consoles.queue(transmitqOf(1)).addChain([readable(Buffer.from('y'))]);
    consoles.driver.kick(transmitqOf(1));
    assert.deepEqual(consoles.queue(receiveqOf(1)).used(), []);
  });
});
