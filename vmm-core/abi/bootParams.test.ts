import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { BOOT_PARAMS_E820_TABLE, BootE820Entry, BootParams, SETUP_HEADER_OFFSET } from './bootParams.ts';

/** Every field with its offset as C sees it: those from setup_sects on are in `hdr`. */
function probe(): string {
  const fields = Object.entries(BootParams.fields).map(([field, { offset }]) => {
    const path = offset < SETUP_HEADER_OFFSET ? field : `hdr.${field}`;
    return `printf("${field} %zu\\n", offsetof(struct boot_params, ${path}));`;
  });
  return `#include <stdio.h>
#include <stddef.h>
#include <asm/bootparam.h>
int main(void) {
  printf("size %zu\\n", sizeof(struct boot_params));
  printf("e820_table %zu\\n", offsetof(struct boot_params, e820_table));
  printf("e820_entry %zu\\n", sizeof(struct boot_e820_entry));
  ${fields.join('\n  ')}
  return 0;
}
`;
}

test('the zero page has the offsets of <asm/bootparam.h>', (t) => {
  const compiled = spawnSync(
    'sh',
    ['-c', 'f=$(mktemp) && gcc -x c -o "$f" - && "$f"; s=$?; rm -f "$f"; exit $s'],
    {
      input: probe(),
      encoding: 'utf8',
    },
  );
  if (compiled.stderr.includes('not found')) return t.skip('gcc is not installed');
  if (compiled.stderr.includes('asm/bootparam.h')) return t.skip('the kernel headers are not installed');
  assert.equal(compiled.status, 0, compiled.stderr);
  const expected = new Map(
    compiled.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
      .map(([field, value]) => [field, Number(value)]),
  );
  const actual = new Map([
    ['size', BootParams.size],
    ['e820_table', BOOT_PARAMS_E820_TABLE],
    ['e820_entry', BootE820Entry.size],
    ...Object.entries(BootParams.fields).map(([field, { offset }]) => [field, offset] as const),
  ]);
  assert.deepEqual(actual, expected);
});
