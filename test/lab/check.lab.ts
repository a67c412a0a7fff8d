/**
 * What `vmm check` finds in L1, where hardware virtualization, nested paging and the debug registers all
 * work.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { VMM } from './inside/vmmRun.ts';

interface Report {
  readonly usable: boolean;
  readonly findings: readonly { readonly id: string; readonly status: string; readonly detail: string }[];
}

const skip = existsSync(VMM) ? false : 'dist/vmm.js is not there: run "npm run build"';

describe('vmm check in L1', { skip }, () => {
  let report: Report;
  before(() => {
    const output = execFileSync(process.execPath, [VMM, 'check', '--json'], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    report = JSON.parse(output) as Report;
  });

  it('calls the host usable', () => {
    assert.equal(report.usable, true, JSON.stringify(report, undefined, 2));
  });

  const working = [
    'virtualization',
    'nestedPaging',
    'kvm',
    'hardwareBreakpoints',
    'watchpoints',
    'singleStep',
  ];
  for (const id of working) {
    it(`finds ${id} in order`, () => {
      const finding = report.findings.find((it) => it.id === id);
      assert.equal(finding?.status, 'ok', finding?.detail ?? 'not reported');
    });
  }
});
