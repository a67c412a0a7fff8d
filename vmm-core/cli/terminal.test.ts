import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../test/support/bytes.ts';
import { EscapeFilter } from './terminal.ts';

/** What goes to the guest, and whether the user left, for keys that come in these chunks. */
function typed(...chunks: string[]): { readonly sent: string; readonly left: boolean } {
  const filter = new EscapeFilter();
  const sent = chunks.map((chunk) =>
    Buffer.from(filter.take(Buffer.from(chunk, 'latin1'))).toString('latin1'),
  );
  return { sent: sent.join(''), left: filter.left };
}

test('~. at the very beginning and after a line end leaves', () => {
  assert.deepEqual(typed('~.'), { sent: '', left: true });
  assert.deepEqual(typed('ls\r~.'), { sent: 'ls\r', left: true });
  assert.deepEqual(typed('ls\n~.'), { sent: 'ls\n', left: true });
});

test('it does so when the two keys come one by one', () => {
  assert.deepEqual(typed('ls', '\r', '~', '.'), { sent: 'ls\r', left: true });
});

test('what comes after it is not sent', () => {
  assert.deepEqual(typed('~.rm -rf /\r'), { sent: '', left: true });
});

test('within a line a tilde is a tilde', () => {
  assert.deepEqual(typed('cd ~.\r'), { sent: 'cd ~.\r', left: false });
  assert.deepEqual(typed('x~', '.'), { sent: 'x~.', left: false });
});

test('~~ sends one tilde, and is no longer the start of a line', () => {
  assert.deepEqual(typed('~~'), { sent: '~', left: false });
  assert.deepEqual(typed('~~.'), { sent: '~.', left: false });
});

test('a tilde before anything else is sent with it', () => {
  assert.deepEqual(typed('~/bin\r'), { sent: '~/bin\r', left: false });
  assert.deepEqual(typed('~', '/'), { sent: '~/', left: false });
});

test('a tilde and then a line end is a line of its own: the next may leave', () => {
  assert.deepEqual(typed('~\r~.'), { sent: '~\r', left: true });
});

test('all other bytes pass as they are, 8 bits wide', () => {
  const all = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('');
  assert.deepEqual(typed(`x${all}`), { sent: `x${all}`, left: false });
});

test('how keys are split into chunks makes no difference (seeded)', () => {
  const random = seededRandom(0x7e);
  const keys = ['~', '.', '\r', '\n', 'a', '\x1b'];
  for (let i = 0; i < 2000; i++) {
    const text = Array.from({ length: 12 }, () => keys[Math.floor(random() * keys.length)] ?? '').join('');
    const cut = Math.floor(random() * text.length);
    const whole = typed(text);
    const parts = typed(text.slice(0, cut), text.slice(cut));
    // Once left, the owner stops asking; what one more chunk would give does not matter.
    if (!typed(text.slice(0, cut)).left) assert.deepEqual(parts, whole, JSON.stringify([text, cut]));
  }
});
