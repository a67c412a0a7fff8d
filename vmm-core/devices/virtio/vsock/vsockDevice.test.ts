import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { MockDriver, OFF_START, readable, writable } from '../../../../test/support/mockDriver.ts';
import { MmioDriver, VirtioMachine } from '../../../../test/support/virtioMachine.ts';
import { GUEST_CID, headerBytes, Listener, type Peer } from '../../../../test/support/vsockMachine.ts';
import { REQUEST, RESPONSE, RW } from '../../../../test/support/vsockTest.ts';
import { VIRTIO_CONFIG_S_NEEDS_RESET } from '../../../abi/virtioConfig.ts';
import { VIRTIO_MMIO_CONFIG } from '../../../abi/virtioMmio.ts';
import { UserError } from '../../../errors.ts';
import { EpollPoller } from '../../../kvm/net/epollPoller.ts';
import { allocateGuestMemory } from '../../../memory/guestMemory.ts';
import type { ServicePort } from '../../deviceService.ts';
import { vsockClass, vsockDevice } from './vsockDevice.ts';
import { VSOCK_STATE, type VsockInstance } from './vsockState.ts';

const PORT = 7;
const PAGE = 0x1000;

/** A machine with nothing but that, whose I/O thread is this one: `run`. */
async function machine(t: TestContext) {
  await vsockClass.load?.([]);
  const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-vsock-'));
  const socket = path.join(folder, 'vsock');
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: 1 << 20 }], OFF_START);
  const queues = [0, 1, 2].map((i) => new MockDriver({ memory, base: 0x1_0000 + i * 0x4_0000 }));
  const poller = new EpollPoller((tag, events) => made.service?.onReady?.(tag, events));
  const nothing = { takeSlot: () => -1, giveSlot: () => undefined, arm: () => undefined };
  const io = { ...nothing, poller } as unknown as ServicePort['io']; // it needs no engine
  const config = { virtio: 'mmio', vsock: { cid: GUEST_CID, socket } } as const;
  const made = new VirtioMachine(vsockDevice, VSOCK_STATE, memory, config, io);
  const driver = new MmioDriver(made);
  const peers: Peer[] = [];
  const listener = new Listener(`${socket}_${PORT}`, (peer) => peers.push(peer));
  t.after(() => {
    for (const it of [listener, ...peers]) it.close();
    made.service?.pause();
    made.service?.close();
    made.backend?.close();
    poller.close();
    rmSync(folder, { recursive: true });
  });
  const [rx, tx] = queues as [MockDriver, MockDriver];
  return {
    ...{ made, driver, listener, socket, rx, tx, rings: queues.map(({ rings }) => rings) },
    run: () => {
      while (poller.take());
    },
    send: (packet: Parameters<typeof headerBytes>[0], data = '') => {
      const all = Buffer.concat([
        headerBytes({ dstPort: PORT, bufAlloc: 1000, len: data.length, ...packet }),
      ]);
      tx.addChain([readable(Buffer.concat([all, Buffer.from(data)]))]);
      driver.kick(1);
    },
    op: () => rx.used().map(({ head }) => rx.bytesOf(head)[30]),
  };
}

describe('the vsock device', () => {
  it("has the guest's address in its configuration space", async (t) => {
    const { driver } = await machine(t);
    assert.equal(driver.read(VIRTIO_MMIO_CONFIG), GUEST_CID);
    assert.equal(driver.read(VIRTIO_MMIO_CONFIG + 4), 0);
  });

  it('connects a guest to a program, interrupts it, and ends that at its reset', async (t) => {
    const { made, driver, listener, rx, rings, send, op, run } = await machine(t);
    driver.start(rings);
    rx.addChain([writable(PAGE)]);
    driver.kick(0);
    send({ op: REQUEST, srcPort: 5 });
    assert.deepEqual(op(), [RESPONSE]);
    assert.ok(made.line.edges > 0);
    const program = listener.accept();
    send({ op: RW, srcPort: 5 }, 'hello');
    assert.equal(program.text(), 'hello');
    driver.status = 0;
    run();
    assert.equal(driver.status, 0);
    assert.equal(program.isEnded, true);
  });

  it('is shown with its connections', async (t) => {
    const { made, driver, listener, rx, rings, socket, send, run } = await machine(t);
    driver.start(rings);
    for (let i = 0; i < 4; i++) rx.addChain([writable(PAGE)]);
    driver.kick(0);
    send({ op: REQUEST, srcPort: 5 });
    send({ op: RW, srcPort: 5 }, 'hello');
    listener.accept().send('and you');
    run();
    const instance: VsockInstance = {
      ...{ transport: 'mmio', vmName: 'test', vsock: { cid: GUEST_CID, socket } },
    };
    const report = vsockDevice.inspect?.(instance, made.state as never, rx.memory);
    assert.deepEqual(report, {
      ...{ cid: GUEST_CID, socket, packetsFromGuest: 2, packetsToGuest: 2, resetsToGuest: 0, malformed: 0 },
      connections: [
        {
          ...{ state: 'established', guestPort: 5, hostPort: PORT, fromGuestBytes: 5, toGuestBytes: 7 },
          ...{ waitingForHostBytes: 0, waitingForGuestBytes: 7, guestCreditBytes: 993 },
        },
      ],
    });
  });

  it('needs a reset when a buffer has no room for a packet', async (t) => {
    const { made, driver, rx, rings, send } = await machine(t);
    driver.start(rings);
    rx.addChain([writable(10)]);
    send({ op: RW, srcPort: 5 });
    assert.ok((driver.status & VIRTIO_CONFIG_S_NEEDS_RESET) !== 0);
    assert.match(made.brokenRule, /^§5\.10\.6\.2: a receive buffer of 10 bytes/);
  });

  it('takes its socket away at the end, and is refused where there is another file', async (t) => {
    const { made, socket } = await machine(t);
    assert.equal(existsSync(socket), true);
    made.backend?.close();
    assert.equal(existsSync(socket), false);
    writeFileSync(socket, '');
    const memory = allocateGuestMemory([{ base: 0, sizeBytes: 1 << 20 }], OFF_START);
    const config = { vsock: { cid: GUEST_CID, socket } };
    assert.throws(() => new VirtioMachine(vsockDevice, VSOCK_STATE, memory, config), UserError);
  });
});
