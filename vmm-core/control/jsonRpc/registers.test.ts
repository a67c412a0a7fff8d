import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registersParams } from './registers.ts';

test('registers are set by hexadecimal numbers of up to 64 bits', () => {
  assert.deepEqual(registersParams({ cpu: 1, values: { rax: '0xFFFFFFFFFFFFFFFF', cs: '0x8' } }), {
    cpu: 1,
    values: { rax: 2n ** 64n - 1n, cs: 8n },
  });
});

for (const text of ['12', '0x', '0x10000000000000000', '']) {
  test(`${JSON.stringify(text)} is not such a number`, () => {
    assert.throws(() => registersParams({ cpu: 0, values: { rax: '0x1', rbx: text } }), {
      name: 'UserError',
      message: `rbx: ${text} is not a hexadecimal number of up to 64 bits`,
    });
  });
}
