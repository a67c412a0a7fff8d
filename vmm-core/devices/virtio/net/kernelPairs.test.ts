/** An interface whose queues somebody else may serve: which of them, when, and what is true of them then. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakePairServer } from '../../../../test/support/fakePairServer.ts';
import { readable } from '../../../../test/support/mockDriver.ts';
import {
  FIRST_DOORBELL_FD,
  LOOP,
  NetMachine,
  type NetMachineOptions,
} from '../../../../test/support/netMachine.ts';
import {
  VIRTIO_NET_CTRL_MQ,
  VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_OK,
} from '../../../abi/virtioNet.ts';
import { VIRTIO_CONFIG_S_NEEDS_RESET, VIRTIO_F_VERSION_1 } from '../../../abi/virtioConfig.ts';
import { QUEUE_LENT } from '../virtioState.ts';

function served(pairs = 1, options: NetMachineOptions = {}) {
  const server = new FakePairServer(pairs);
  const kind = pairs > 1 ? 'tap' : 'user';
  const machine = new NetMachine({ network: { ...LOOP, kind }, cpus: pairs, pairServer: server, ...options });
  return { server, machine };
}

describe('an interface whose link can serve queues', () => {
  it('lends them once the driver is ready, with their rings and doorbells', () => {
    const { server, machine } = served();
    assert.deepEqual(server.take(), ['use 1', 'start 0 at 0, 0']);
    const pair = server.pair();
    const { receive, transmit, memory } = pair;
    const { rings } = machine.driver(0);
    assert.deepEqual(
      [receive.desc, receive.driver, receive.device],
      [rings.desc, rings.driver, rings.device],
    );
    assert.deepEqual([receive.kickFd, transmit.kickFd], [FIRST_DOORBELL_FD, FIRST_DOORBELL_FD + 1]);
    assert.equal(memory, machine.memory);
    assert.ok(pair.hasFeature(VIRTIO_F_VERSION_1) && pair.hasFeature(VIRTIO_NET_F_MRG_RXBUF));
    assert.equal(machine.state.regs.queueNextAvail[0], QUEUE_LENT);
  });

  it('moves no frames meanwhile, and interrupts for whoever does', () => {
    const { server, machine } = served();
    machine.offer([2000]);
    machine.sendChain([readable(100)]);
    assert.deepEqual([machine.link.sent.length, machine.driver(1).used().length], [0, 0]);
    machine.link.deliver(new Uint8Array(60));
    assert.equal(machine.link.waiting, 1);
    const before = machine.state.regs.queueInterrupts[1] ?? 0;
    server.pair().transmit.interrupt();
    assert.equal(machine.state.regs.queueInterrupts[1], before + 1);
    assert.equal(machine.irq.edges, 1);
  });

  it('has them back while it is paused, as far as they were used', () => {
    const { server, machine } = served();
    machine.offer([2000, 2000]);
    server.used = { receive: 1, transmit: 0 };
    server.take();
    machine.service.pause();
    assert.deepEqual(server.take(), ['stop 0']);
    const { queueNextAvail, queueNextUsed } = machine.state.regs;
    assert.deepEqual([queueNextAvail[0], queueNextUsed[0], queueNextAvail[1]], [1, 1, 0]);
    machine.service.resume();
    assert.deepEqual(server.take(), ['start 0 at 1, 0']);
  });

  it('has them back for a capture, and serves them itself', () => {
    const { server, machine } = served();
    machine.service.onMessage?.({ kind: 'capture', settings: { snapBytes: 100 } });
    machine.run();
    assert.equal(server.take().at(-1), 'stop 0');
    machine.offer([2000, 2000]);
    machine.sendChain([readable(100)]);
    assert.equal(machine.link.sent.length, 1);
    machine.link.deliver(new Uint8Array(60));
    assert.equal(machine.received().length, 1);
    machine.service.onMessage?.({ kind: 'capture', settings: undefined });
    machine.run();
    // One of the two buffers is used: what was in stock went back first.
    assert.deepEqual(server.take(), ['start 0 at 1, 1']);
  });

  it('has them back while the link is down', () => {
    const { server, machine } = served();
    server.take();
    machine.network.setUp(false);
    machine.run();
    assert.deepEqual(server.take(), ['stop 0']);
    machine.network.setUp(true);
    machine.run();
    assert.deepEqual(server.take(), ['start 0 at 0, 0']);
  });

  it('ends a loan before the driver gets its reset, and begins another from the start', () => {
    const { server, machine } = served();
    server.used = { receive: 3, transmit: 5 };
    server.take();
    machine.restart();
    assert.deepEqual(server.take(), ['stop 0', 'use 1', 'start 0 at 0, 0']);
  });

  it('lends those pairs that the driver uses', () => {
    const { server, machine } = served(2);
    assert.deepEqual(server.take(), ['use 1', 'start 0 at 0, 0']);
    const command = (pairs: number): number =>
      machine.command(Uint8Array.of(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, pairs, 0));
    assert.equal(command(2), VIRTIO_NET_OK);
    assert.deepEqual(server.take(), ['stop 0', 'use 2', 'start 0 at 0, 0', 'start 1 at 0, 0']);
    assert.equal(command(1), VIRTIO_NET_OK);
    assert.deepEqual(server.take(), ['stop 0', 'stop 1', 'use 1', 'start 0 at 0, 0']);
  });

  it('goes on itself where whoever should cannot, and does not ask again', () => {
    const server = new FakePairServer();
    server.isAble = false;
    const machine = new NetMachine({ pairServer: server });
    assert.deepEqual(server.take(), ['use 1', 'cannot 0']);
    machine.sendChain([readable(100)]);
    machine.service.pause();
    machine.service.resume();
    machine.sendChain([readable(100)]);
    assert.equal(machine.link.sent.length, 2);
    assert.deepEqual(server.take(), []);
  });

  it('lends no queue for which a frame waits, until the guest has room for it', () => {
    const server = new FakePairServer();
    server.isClear = false;
    const machine = new NetMachine({ pairServer: server });
    machine.sendChain([readable(100)]);
    assert.equal(machine.link.sent.length, 1);
    assert.deepEqual(server.take(), ['use 1']);
    server.isClear = true;
    machine.offer([2000]);
    assert.deepEqual(server.take(), ['start 0 at 0, 1']);
  });

  it('finds itself what the driver has done wrong, and lends again after its reset', () => {
    const { server, machine } = served();
    machine.driver(1).offer(4000); // it has no such descriptor
    server.take();
    server.pair().onBroken();
    machine.run();
    assert.deepEqual(server.take(), ['stop 0']);
    const { status } = machine.state.regs;
    assert.notEqual(status & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
    machine.restart();
    assert.deepEqual(server.take(), ['use 1', 'start 0 at 0, 0']);
  });

  it('takes them back when the driver breaks a rule on the control queue', () => {
    const { server, machine } = served();
    const control = machine.drivers.length - 1;
    machine.driver(control).offer(4000); // it has no such descriptor
    server.take();
    machine.kick(control);
    assert.deepEqual(server.take(), ['stop 0']);
  });
});
