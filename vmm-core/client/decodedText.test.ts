import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodedText } from './decodedText.ts';

test('tables of a report have columns, and lists are on one line', () => {
  const report = {
    frames: 3,
    dns: ['9.9.9.9', '::1'],
    connections: [
      { guest: '10.0.2.15:40000', state: 'open' },
      { guest: '10.0.2.15:22', state: 'closing' },
    ],
    none: [],
  };
  assert.equal(
    decodedText(report),
    `frames  3
dns     9.9.9.9, ::1
connections
  guest            state
  10.0.2.15:40000  open
  10.0.2.15:22     closing
none
`,
  );
});

test('names that a guest or another user has chosen do not steer the terminal', () => {
  const report = { vm: 'a\u001b[2Jb', transfers: [{ file: 'c\r\nd\u009b1m', bytes: 0 }], names: ['\u202ee'] };
  assert.equal(
    decodedText(report),
    `vm     a\\u{1b}[2Jb
transfers
  file                  bytes
  c\\u{d}\\u{a}d\\u{9b}1m  0
names  \\u{202e}e
`,
  );
});
