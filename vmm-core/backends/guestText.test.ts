import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GUEST_TEXT_BYTES, GUEST_TEXT_WINDOW_MS, GuestText } from './guestText.ts';
import { Log } from '../log.ts';

function newText() {
  const lines: { message: string; values?: { droppedBytesBefore: number } }[] = [];
  const log = new Log({ write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]) });
  const clock = { ms: 0 };
  const text = new GuestText('debugcon', log, () => clock.ms);
  return { lines, clock, write: (what: string): void => text.write(Buffer.from(what, 'latin1')) };
}

test('the boot messages of a kernel are logged in full', () => {
  const { lines, write } = newText();
  for (let i = 0; i < 300; i++) write(`line ${i} of a boot log of usual length, with a bit more\n`);
  assert.equal(lines.length, 300);
  assert.equal(lines[7]?.message, 'line 7 of a boot log of usual length, with a bit more\n');
});

test('a flood is cut, however it is split, and the next window says by how much', () => {
  for (const portion of [1, 100, 50_000]) {
    const { lines, clock, write } = newText();
    const flood = 2_000_000 - (2_000_000 % portion);
    for (let sent = 0; sent < flood; sent += portion) write('x'.repeat(portion));
    const logged = lines.reduce((sum, { message }) => sum + message.length, 0);
    assert.ok(logged <= GUEST_TEXT_BYTES && lines.length <= GUEST_TEXT_BYTES / 100);
    clock.ms += GUEST_TEXT_WINDOW_MS;
    write('calm');
    assert.deepEqual(lines.at(-1)?.values, { droppedBytesBefore: flood - logged });
    write('calm');
    assert.equal(lines.at(-1)?.values, undefined);
  }
});
