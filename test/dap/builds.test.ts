/**
 * Symbol files from another build than the guest runs: reported once, as soon as the guest's memory shows it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { SHF_ALLOC, SHT_NOTE } from '../../vmm-core/elf/elfConstants.ts';
import { Bytes } from '../support/bytes.ts';
import { runUntilStopped, stackOf, stoppedAtEntry } from '../support/debugSession.ts';
import { buildElf } from '../support/dwarfBuilderElf.ts';

/** In the fake guest's RAM, behind the program. */
const NOTE_ADDRESS = 0x18_0000;

function noteWith(id: readonly number[]): Uint8Array {
  return new Bytes().u32(4, id.length, 3).cstring('GNU').bytes(Uint8Array.from(id)).done();
}

function symbolFile(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'builds-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'vmlinux');
  const bytes = noteWith([1, 2, 3, 4]);
  const note = { name: '.notes', type: SHT_NOTE, flags: SHF_ALLOC, address: NOTE_ADDRESS, align: 4, bytes };
  writeFileSync(file, buildElf({ sections: [note] }));
  return file;
}

/**
 * Stops once with nothing there, twice with that build-id in memory; returns what the Debug Console says
 * about it.
 */
async function consoleWith(t: TestContext, id: readonly number[]): Promise<string[]> {
  const { client } = await stoppedAtEntry(t, { symbolFiles: [symbolFile(t)] });
  const data = Buffer.from(noteWith(id)).toString('base64');
  await client.ask('writeMemory', { memoryReference: `0x${NOTE_ADDRESS.toString(16)}`, data });
  for (let i = 0; i < 3; i++)
    await runUntilStopped(client, 'stepIn', { threadId: 1, granularity: 'instruction' });
  // The check follows the event; what asks for the same view of the guest is answered after it.
  await stackOf(client);
  return client.console.split('\n').filter((it) => it.includes('build-id'));
}

test('a guest that runs another build than the symbols are from is reported once, with both build-ids', async (t) => {
  const said = await consoleWith(t, [9, 8, 7, 6]);
  assert.equal(said.length, 1);
  assert.match(
    said[0] ?? '',
    /^the guest does not run the build of .*vmlinux: its memory has build-id 09080706, the file 01020304; /,
  );
});

test('nothing is said about the right build', async (t) => {
  assert.deepEqual(await consoleWith(t, [1, 2, 3, 4]), []);
});
