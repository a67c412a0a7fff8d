import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withKernelParameters } from './kernelParameters.ts';

const board = { cpus: 1, chips: [{ kernelParameters: ['a.device=1'] }, {}, { kernelParameters: ['b=2'] }] };

test('a kernel that leaves ACPI alone is told of devices on its command line', () => {
  assert.equal(withKernelParameters('quiet acpi=off', board), 'quiet acpi=off a.device=1 b=2');
  assert.equal(withKernelParameters('acpi=ht quiet', board), 'acpi=ht quiet a.device=1 b=2');
});

test('any other command line is left as it is', () => {
  for (const it of ['', 'console=ttyS0', 'noacpi=off', 'acpi=offline', 'acpi=force'])
    assert.equal(withKernelParameters(it, board), it);
});
