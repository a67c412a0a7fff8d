import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineFeeds } from './lineFeeds.ts';

/**
 * What a terminal gets for a text in one piece, after checking that it gets the same for the text cut
 * anywhere.
 */
function translated(text: string): string {
  const whole = ofChunks(text);
  for (let cut = 0; cut <= text.length; cut++) {
    assert.equal(ofChunks(text.slice(0, cut), '', text.slice(cut)), whole, `cut at ${cut}`);
  }
  assert.equal(ofChunks(...text), whole, 'a character at a time');
  return whole;
}

function ofChunks(...chunks: readonly string[]): string {
  const lineFeeds = new LineFeeds();
  return chunks.map((it) => lineFeeds.translate(it)).join('') + lineFeeds.end();
}

test('a line feed alone goes back to the first column too', () => {
  assert.equal(translated('one\ntwo\n\nthree'), 'one\r\ntwo\r\n\r\nthree');
  assert.equal(translated('\nbegins with one'), '\r\nbegins with one');
});

test('a line feed after a carriage return is left as it is, and so is a carriage return alone', () => {
  assert.equal(translated('one\r\ntwo\r\n\r\n'), 'one\r\ntwo\r\n\r\n');
  assert.equal(translated('10 %\r20 %\r\r\ndone'), '10 %\r20 %\r\r\ndone');
});

test('a guest may use both', () => {
  assert.equal(translated('firmware\r\nkernel\nshell\r\n\n'), 'firmware\r\nkernel\r\nshell\r\n\r\n');
});

test('a full-screen program on the alternate screen moves down with a line feed alone', () => {
  for (const mode of [47, 1047, 1049]) {
    const screen = `\x1b[?${mode}hfirst\nsecond\x1b[?${mode}l`;
    assert.equal(translated(`$ vi\n${screen}\n$ `), `$ vi\r\n${screen}\r\n$ `);
  }
});

test('other escape sequences change nothing', () => {
  assert.equal(translated('\x1b[31mred\n\x1b[?25h\n\x1b[0m'), '\x1b[31mred\r\n\x1b[?25h\r\n\x1b[0m');
});

test('an escape sequence that the guest never finishes is shown at the end', () => {
  const lineFeeds = new LineFeeds();
  assert.equal(lineFeeds.translate('a\n\x1b[?10'), 'a\r\n');
  assert.equal(lineFeeds.end(), '\x1b[?10');
});

test('nothing is changed for a raw guest, and the translation can be switched on and off while it talks', () => {
  const lineFeeds = new LineFeeds();
  assert.equal(lineFeeds.translate('raw\n\r\x1b[', false), 'raw\n\r');
  assert.equal(lineFeeds.translate('0m\nnext\n', true), '\x1b[0m\r\nnext\r\n');
  assert.equal(lineFeeds.translate('\x1b[?1049h\nraw\r', false), '\x1b[?1049h\nraw\r');
  assert.equal(lineFeeds.translate('\n\x1b[?1049l\n', true), '\n\x1b[?1049l\r\n');
});
