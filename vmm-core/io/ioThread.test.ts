import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { bundled } from '../../scripts/bundle.ts';
import { plannableConfig } from '../../test/support/devices.ts';
import {
  BLOCK_BYTES,
  DONE,
  FAKE_DISK_STATE,
  fakeDisk,
  type FakeDiskInstance,
  RESULT,
} from '../../test/support/fakeDisk.ts';
import { StateBlock } from '../bus/stateBlock.ts';
import { allocateDevices } from '../devices/buildDevices.ts';
import { IO_THREAD } from '../devices/device.ts';
import { planMachine } from '../devices/planner.ts';
import { decideIoEngine } from '../kvm/io/openIoEngine.ts';
import { createEventFd, signalEventFd } from '../kvm/libc.ts';
import { allocateGuestMemory, gpa } from '../memory/guestMemory.ts';
import { IoThread } from './ioThread.ts';

const WORKER = bundled('test/support/fakeDisk.worker.ts');
const BLOCKS = 64;

const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-io-'));
const image = Buffer.alloc(BLOCKS * BLOCK_BYTES).map((_, i) => (i / BLOCK_BYTES) ^ i);
writeFileSync(path.join(folder, 'disk'), image);
const diskFd = openSync(path.join(folder, 'disk'), 'r');
after(() => {
  closeSync(diskFd);
  rmSync(folder, { recursive: true });
});

/** A machine's devices are this one; the test is its driver, and main. */
function startDisk(instance: Partial<FakeDiskInstance> = {}) {
  const disk = { ...fakeDisk, instances: () => [{ ioThread: IO_THREAD, ...instance }] };
  const plan = planMachine(plannableConfig(), [disk]);
  const deviceMemory = allocateDevices(plan);
  const { regs } = new StateBlock(FAKE_DISK_STATE, deviceMemory, plan.devices[0]?.stateOffset);
  const memory = allocateGuestMemory([{ base: 0, sizeBytes: 0x10000 }]);
  const doorbellFd = createEventFd();
  const wakeFd = createEventFd();
  const told: unknown[] = [];
  let hear: () => void = () => undefined;
  const heard = new Promise<void>((resolve) => (hear = resolve));
  let fail: (error: Error) => void = () => undefined;
  const crashed = new Promise<Error>((resolve) => (fail = resolve));
  const thread = new IoThread(IO_THREAD, wakeFd, {
    onMessage: (message) => {
      told.push(message);
      hear();
    },
    onEnd: () => told.push('end'),
    onCrash: fail,
  });
  /** Resolves once it serves. */
  const start = async (): Promise<void> => {
    thread.send(0, 'hello');
    begin();
    await Promise.race([heard, crashed]);
  };
  const begin = (): void =>
    thread.start(
      {
        vmName: 'test',
        vmFd: -1,
        ram: memory.slots,
        plan,
        deviceMemory,
        doorbellFds: [doorbellFd],
        ioWakeFds: { [IO_THREAD]: wakeFd },
        opened: new Map([[0, diskFd]]),
        engine: decideIoEngine(undefined).kind,
        logLevel: 'info',
      },
      WORKER,
    );
  const ask = (block: number): number => {
    const before = Atomics.load(regs.results, DONE);
    regs.block = block;
    regs.address = 0x1000 + block * BLOCK_BYTES;
    signalEventFd(doorbellFd);
    return before;
  };
  /** As a vCPU's thread would: it waits, and main with it. */
  const take = (before: number): Uint8Array => {
    assert.notEqual(Atomics.wait(regs.results, DONE, before, 30_000), 'timed-out');
    assert.equal(Atomics.load(regs.results, RESULT), BLOCK_BYTES);
    return memory.slice(gpa(regs.address), BLOCK_BYTES);
  };
  return { thread, start, ask, take, regs, told, crashed };
}

const blockOf = (block: number): Uint8Array =>
  Uint8Array.from(image.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES));

test('a doorbell has the service move data, with nobody else running', async () => {
  const { thread, start, ask, take } = startDisk();
  await start();
  for (let block = 0; block < BLOCKS; block++) assert.deepEqual(take(ask(block)), blockOf(block));
  await thread.shutDown();
});

test('what is sent before the thread has started waits for it, and services answer', async () => {
  const { thread, start, told } = startDisk();
  await start();
  assert.deepEqual(told, [{ kind: 'tell', device: 0, message: 'heard hello' }]);
  await thread.shutDown();
  assert.deepEqual(told.slice(1), [{ kind: 'tell', device: 0, message: 'closed' }, 'end']);
});

test('once it is quiet its devices are not served, until it goes on', async () => {
  const { thread, start, ask, take, regs } = startDisk();
  await start();
  take(ask(1));
  await thread.quiesce();
  const before = ask(2);
  await thread.quiesce(); // it has seen the doorbell by now
  assert.equal(Atomics.load(regs.results, DONE), before);
  thread.resume();
  assert.deepEqual(take(before), blockOf(2));
  await thread.shutDown();
  await thread.quiesce(); // nobody is there who could disturb
});

test('a bug in a service is told, and whoever waits for the thread goes on', async () => {
  const { thread, start, ask, crashed } = startDisk({ isBroken: true });
  await start();
  ask(0);
  const quiet = thread.quiesce();
  assert.equal((await crashed).message, 'the fake disk is broken');
  await quiet;
  await thread.shutDown();
});

test('a thread that was never started has nothing to give up', async () => {
  const { thread, told } = startDisk();
  await thread.quiesce();
  thread.resume();
  await thread.shutDown();
  thread.close();
  assert.deepEqual(told, []);
});
