import assert from 'node:assert/strict';
import { it } from 'node:test';
import { SourceFile } from './sourceFile.ts';
import { byteLength } from '../config/values.ts';
import { randomNumbers } from './testSupport.ts';

it('an edited text has the lines of a fresh one', () => {
  const random = randomNumbers(1);
  for (let i = 0; i < 300; i++) {
    const file = new SourceFile('f', 'a\nbc\n\nd');
    assert.equal(file.lineCount, 4);
    for (let j = 0; j < 5; j++) {
      const start = random(file.text.length + 1);
      const end = Math.min(file.text.length, start + random(4));
      const text = ['', 'x', '\n', 'x\ny\n', '\n'.repeat(1500)][random(5)] ?? '';
      file.edit({ start, end, text });
      const fresh = new SourceFile('f', file.text);
      const lines = (it: SourceFile): number[] =>
        Array.from({ length: it.lineCount }, (_, line) => it.lineStart(line));
      assert.deepEqual(lines(file), lines(fresh));
    }
  }
});

it('an offset and its position convert to each other', () => {
  const file = new SourceFile('f', 'ab\n\ncd');
  for (let offset = 0; offset <= file.text.length; offset++)
    assert.equal(file.offset(file.position(offset)), offset);
  assert.equal(file.offset({ line: 0, character: 99 }), 2);
  assert.equal(file.offset({ line: 99, character: 0 }), 6);
});

it('bytes are counted in UTF-8', () => {
  assert.deepEqual(['a', 'ä', '€', '😀'].map(byteLength), [1, 2, 3, 4]);
});
