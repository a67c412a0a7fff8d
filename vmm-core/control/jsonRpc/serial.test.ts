import assert from 'node:assert/strict';
import { it } from 'node:test';
import { sizeParams } from './serial.ts';

it('a size of a terminal is of at least one cell, and has 16 bits', () => {
  const size = { port: 4, columns: 1, rows: 65_535 };
  assert.deepEqual(sizeParams(size), size);
  for (const wrong of [0, -1, 65_536])
    assert.throws(() => sizeParams({ ...size, rows: wrong }), {
      name: 'UserError',
      message: `rows must be 1 to 65535, not ${wrong}`,
    });
  assert.throws(() => sizeParams({ ...size, columns: '80' }), /^UserError: columns must be a whole number/);
});
