/** `vmm stop` as a user calls it, on a VM whose guest does as the test says. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { bundled } from '../../scripts/bundle.ts';
import { FakeVmm, type FakeVmmOptions } from '../../test/support/fakeVmm.ts';
import { vmConfig } from '../../test/support/liveVm.ts';
import { ownRuntimeDir } from '../../test/support/ownRuntimeDir.ts';
import { VmmProcess } from '../../test/support/vmmProcess.ts';
import { socketPath } from '../client/runtimeDir.ts';

const KERNEL = path.join(import.meta.dirname, '../../test/dap/fixtures/steps.elf');

/** Paused. */
async function createdGuest(t: TestContext, options: FakeVmmOptions): Promise<FakeVmm> {
  ownRuntimeDir(t);
  const fake = await FakeVmm.start({ socket: socketPath('guest'), ...options });
  t.after(() => fake.close());
  fake.createNow(vmConfig({ kernel: KERNEL, name: 'guest' }));
  return fake;
}

async function runningGuest(t: TestContext, options: FakeVmmOptions): Promise<FakeVmm> {
  const fake = await createdGuest(t, options);
  fake.resumeNow();
  return fake;
}

/** What it prints, after its exit code where that is not 0. */
async function stop(...args: readonly string[]): Promise<string> {
  const child = new VmmProcess(['stop', ...args], { vmmPath: bundled('vmm-core/main.ts') });
  const { code, stdout, stderr } = await child.finished;
  return `${code === 0 ? '' : String(code)}${stderr}${stdout}`;
}

test('a guest is asked by its power button, and waited for only with -w', async (t) => {
  const fake = await runningGuest(t, { onPowerButton: 'ignores' });
  assert.equal(await stop('guest'), '');
  assert.ok(fake.requests.includes('powerButton') && !fake.requests.includes('kill'));
  assert.equal(fake.state, 'running');
});

test('with -w the end of the VM is waited for, and told', async (t) => {
  await runningGuest(t, { onPowerButton: 'powersOff' });
  assert.equal(await stop('-w'), 'guest: the guest powered off\n');
});

test('a guest that does not listen is not stopped, but with -f', async (t) => {
  const fake = await runningGuest(t, { onPowerButton: 'notListening' });
  assert.equal(
    await stop('guest'),
    '1vmm: VM "guest": the guest does not listen to the power button; "vmm stop -f guest" ends it at once\n',
  );
  assert.equal(fake.state, 'running');
  assert.equal(await stop('-fw', 'guest'), 'guest: the VM was stopped\n');
  assert.equal(fake.end?.kind, 'killed');
});

test('a guest that is paused cannot be asked', async (t) => {
  const fake = await createdGuest(t, { onPowerButton: 'powersOff' });
  assert.equal(
    await stop('guest'),
    '1vmm: VM "guest": the VM is paused, so its guest can do nothing; "vmm stop -f guest" ends it at once\n',
  );
  assert.ok(!fake.requests.includes('powerButton'));
});
