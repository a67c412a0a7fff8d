import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { loadKernel } from '../../vmm-core/machine/loadKernel.ts';
import { allocateGuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { MIB, ramRanges } from '../../vmm-core/memory/layout.ts';
import { board } from '../support/kernelImages.ts';
import { GUESTS, type GuestKind, type GuestName, guest } from './build.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const NAMES = Object.keys(GUESTS) as GuestName[];

const PROTOCOLS: Readonly<Record<GuestKind, readonly string[]>> = {
  multiboot: ['multiboot'],
  elf64: ['PVH', 'linux64'],
  bootSector: ['flat'],
  low: ['multiboot'],
  plain: ['multiboot'],
};

test('every source is a guest, and one in assembly says at its head what it proves', () => {
  const sources = readdirSync(FOLDER).filter((file) => /\.[Sc]$/.test(file));
  assert.deepEqual(sources.map((file) => path.parse(file).name).toSorted(), NAMES.toSorted());
  for (const file of sources.filter((it) => it.endsWith('.S'))) {
    assert.match(readFileSync(FOLDER + file, 'utf8'), /^\/\*\s+(?:\* )?Proves \S/, file);
  }
});

test('every guest builds, and boots by the protocol of its kind', async (t) => {
  if (spawnSync('gcc', ['--version']).error !== undefined) return t.skip('gcc is not installed');
  const memory = allocateGuestMemory(ramRanges(8 * MIB));
  for (const name of NAMES) {
    const { kind } = GUESTS[name];
    const kernel = bytesSource(name, readFileSync(await guest(name)));
    const protocol = kind === 'bootSector' ? 'flat' : 'auto';
    const state = loadKernel({ kernel, cmdline: '', protocol, board: board(), memory });
    assert.ok(PROTOCOLS[kind].includes(state.protocol), `${name} boots by ${state.protocol}`);
  }
});

test('a boot sector is 512 bytes and ends in its signature', async (t) => {
  if (spawnSync('gcc', ['--version']).error !== undefined) return t.skip('gcc is not installed');
  const file = openSync(await guest('realMode16'), 'r');
  t.after(() => closeSync(file));
  const bytes = new Uint8Array(1024);
  assert.equal(readSync(file, bytes), 512);
  assert.deepEqual([bytes[510], bytes[511]], [0x55, 0xaa]);
});
