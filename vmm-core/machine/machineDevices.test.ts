import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { plannableConfig, RecordedPower } from '../../test/support/devices.ts';
import type { VmConfig } from '../config/vmConfig.ts';
import { UserError } from '../errors.ts';
import { allocateGuestMemory } from '../memory/guestMemory.ts';
import { loadDevices } from './loadDevices.ts';
import { MachineDevices } from './machineDevices.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'trapframe-machine-'));
after(() => rmSync(folder, { recursive: true }));
const DISK = path.join(folder, 'disk.img');
writeFileSync(DISK, '');
truncateSync(DISK, 2 ** 20);

function configWith(disks: readonly string[]): VmConfig {
  return plannableConfig({ disks: disks.map((it) => ({ path: it })) });
}

function newDevices(disks: readonly string[]): MachineDevices {
  return new MachineDevices({
    config: configWith(disks),
    vmFd: -1, // no interrupt is raised
    memory: allocateGuestMemory([{ base: 0, sizeBytes: 0x1_0000 }]),
    power: new RecordedPower(),
    holdGuest: () => assert.fail(),
    onLost: assert.fail,
    onTrouble: assert.fail,
    onStuck: assert.fail,
    onHalted: assert.fail,
    onIoCrash: assert.fail,
  });
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

test('nothing is left open when a back end cannot be opened, or when the machine cannot be made', async () => {
  await loadDevices(configWith([DISK]));
  newDevices([DISK]).discard(); // what is opened once and stays
  const before = openFiles();
  newDevices([DISK]).discard();
  assert.equal(openFiles(), before);
  assert.throws(() => newDevices([DISK, path.join(folder, 'missing.img')]), UserError);
  assert.equal(openFiles(), before);
});
