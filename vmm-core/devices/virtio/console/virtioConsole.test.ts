import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MockDriver, readable, writable } from '../../../../test/support/mockDriver.ts';
import { MmioDriver, VirtioMachine } from '../../../../test/support/virtioMachine.ts';
import * as abi from '../../../abi/virtioMmio.ts';
import { MAX_TYPED_BYTES } from '../../../backends/serial/serialInput.ts';
import { virtioConsole } from './virtioConsole.ts';
import { CONSOLE_STATE } from './consoleState.ts';

const TO_CLIENT = { kind: 'client' } as const;
const PORTS = [TO_CLIENT, TO_CLIENT, TO_CLIENT, TO_CLIENT, TO_CLIENT];

function startedConsole(size = 8) {
  const receive = new MockDriver({ size, hasEventIdx: true });
  const transmit = new MockDriver({ base: 0x4_0000, memory: receive.memory, hasEventIdx: true });
  const config = { virtio: 'mmio', serial: PORTS } as const;
  const machine = new VirtioMachine(virtioConsole, CONSOLE_STATE, receive.memory, config);
  const driver = new MmioDriver(machine);
  driver.start([receive.rings, transmit.rings]);
  const line = machine.backend?.serial?.[0];
  assert.ok(line !== undefined);
  const heard: Buffer[] = [];
  line.port.attach((bytes) => void heard.push(Buffer.from(bytes)));
  return { receive, transmit, machine, driver, line, text: () => Buffer.concat(heard).toString() };
}

describe('the virtio console (§5.3)', () => {
  it('passes on what the driver sends, and returns its buffers', () => {
    const { transmit, driver, text } = startedConsole();
    const head = transmit.addChain([readable(Buffer.from('hello, ')), readable(Buffer.from('world'))]);
    driver.kick(1);
    assert.equal(text(), 'hello, world');
    assert.deepEqual(transmit.used(), [{ head, writtenBytes: 0 }]);
  });

  it('puts what is typed into the buffers of the driver, as far as they go', () => {
    const { receive, driver, line } = startedConsole();
    receive.addChain([writable(2), writable(2)]);
    driver.kick(0);
    assert.deepEqual(receive.used(), [], 'nothing was typed yet');
    line.type(Buffer.from('abcdef'));
    assert.deepEqual(receive.used(), [{ head: 0, writtenBytes: 4 }]);
    assert.equal(
      Buffer.from(receive.bytesOf(0)).toString() + Buffer.from(receive.bytesOf(1)).toString(),
      'abcd',
    );
    const head = receive.addChain([writable(16)]);
    driver.kick(0);
    assert.deepEqual(receive.used(), [{ head, writtenBytes: 2 }]);
  });

  it('keeps what is typed before there is a driver, within a bound', () => {
    const { receive, driver, line } = startedConsole();
    driver.status = 0;
    assert.equal(line.type(Buffer.from('early')), true);
    assert.equal(line.type(Buffer.alloc(MAX_TYPED_BYTES)), false);
    const again = new MockDriver({ base: 0x8_0000, memory: receive.memory, hasEventIdx: true });
    again.addChain([writable(16)]);
    driver.start([again.rings]);
    assert.deepEqual(again.used(), [{ head: 0, writtenBytes: 5 }]);
  });

  it('takes a huge chain in many goes, between which main does other things', () => {
    const { transmit, driver, machine, text } = startedConsole();
    machine.isMainBusy = true;
    const size = 0x8_0000;
    transmit.addChain([readable(size, 0x8_0000), readable(size, 0x8_0000)]);
    driver.kick(1);
    machine.turn();
    const first = text().length;
    assert.ok(first > 0 && first <= 64 * 1024);
    assert.deepEqual(transmit.used(), []);
    for (let go = 0; go < 20; go++) machine.turn();
    assert.equal(text().length, 2 * size);
    assert.equal(transmit.used().length, 1);
  });

  it('fills a bounded number of chains at a time (rule 14)', () => {
    const { receive, machine, line } = startedConsole(64);
    machine.isMainBusy = true;
    for (let i = 0; i < 64; i++) receive.addChain([readable(1)]);
    line.type(Buffer.from('a'));
    assert.equal(receive.used().length, 32);
    for (let go = 0; go < 2; go++) machine.turn();
    assert.equal(receive.used().length, 32);
  });

  it('reads nothing more of a chain when its queue was reset meanwhile (§2.6.1)', () => {
    const { transmit, driver, machine, text } = startedConsole();
    machine.isMainBusy = true;
    transmit.addChain([readable(0x8_0000, 0x8_0000)]);
    driver.kick(1);
    machine.turn();
    const first = text().length;
    driver.write(abi.VIRTIO_MMIO_QUEUE_SEL, 1);
    driver.write(abi.VIRTIO_MMIO_QUEUE_RESET, 1);
    for (let go = 0; go < 4; go++) machine.turn();
    assert.equal(text().length, first);
    assert.equal(machine.brokenRule, '');
  });

  it('has the size of its terminal in the configuration space, after a reset too', () => {
    const { driver, line, machine } = startedConsole();
    const size = (): number[] => [0, 2].map((at) => driver.read(abi.VIRTIO_MMIO_CONFIG + at, 2));
    assert.deepEqual(size(), [0, 0], 'not known yet');
    const before = driver.read(abi.VIRTIO_MMIO_CONFIG_GENERATION);
    const { edges } = machine.line;
    line.resize?.(132, 43);
    assert.deepEqual(size(), [132, 43]);
    assert.notEqual(driver.read(abi.VIRTIO_MMIO_CONFIG_GENERATION), before);
    assert.equal(machine.line.edges, edges + 1);
    driver.status = 0;
    machine.turn();
    assert.deepEqual(size(), [132, 43]);
  });

  it('takes what the guest has sent when the VM ends', () => {
    const { transmit, driver, machine, text } = startedConsole();
    machine.isMainBusy = true;
    transmit.addChain([readable(Buffer.from('last words'))]);
    driver.kick(1);
    machine.backend?.flush?.();
    assert.equal(text(), 'last words');
  });
});
