import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostCheck } from '../vmm-core/protocol/hostCheck.ts';
import { hostCheckPage, parseHostCheck } from './hostCheckPage.ts';

const noKvm: HostCheck = {
  usable: false,
  findings: [
    { id: 'virtualization', title: 'Hardware virtualization', status: 'ok', detail: 'AMD-V' },
    {
      id: 'kvm',
      title: 'KVM',
      status: 'missing',
      detail: 'no /dev/kvm',
      cure: 'load it: "modprobe kvm <amd>"',
    },
  ],
};

test('what is missing comes first, with its cure', () => {
  const page = hostCheckPage(noKvm, 'command:check');
  assert.match(page, /cannot run virtual machines yet/);
  assert.ok(page.indexOf('data-finding="kvm"') < page.indexOf('data-finding="virtualization"'));
  assert.ok(page.includes('Load it: &quot;modprobe kvm &lt;amd&gt;&quot;'));
});

test('a usable host is reported as usable', () => {
  assert.match(hostCheckPage({ usable: true, findings: [] }, 'command:check'), /can run your kernels/);
});

test('parses what "vmm check --json" prints, and nothing else', () => {
  assert.deepEqual(parseHostCheck(JSON.stringify(noKvm)), noKvm);
  for (const text of ['', 'null', '{}', '{"usable":true}', 'Error: x'])
    assert.throws(() => parseHostCheck(text), text);
});
