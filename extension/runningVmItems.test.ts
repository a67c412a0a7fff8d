import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunningVm } from '../vmm-core/client/runningVms.ts';
import { parseVmConfig } from '../vmm-core/config/parseVmConfig.ts';
import type { SerialBackend } from '../vmm-core/config/serialBackend.ts';
import { portItems, vmItem } from './runningVmItems.ts';

function runningVm(name: string, kinds: readonly SerialBackend['kind'][]): RunningVm {
  const { config } = parseVmConfig({ name, kernel: `/boot/${name}.elf` });
  assert.ok(config !== undefined);
  const serial = kinds.map((kind) => (kind === 'file' ? { kind, path: '/log' } : { kind }));
  return { name, socket: `/run/${name}.sock`, pid: 7, state: 'running', config: { ...config, serial } };
}

test('a VM is listed with what distinguishes it from others of its name', () => {
  const { label, description, detail } = vmItem(runningVm('hello', ['client']));
  assert.deepEqual(
    [label, description, detail],
    ['hello', 'running, 1 CPU, 256 MiB, pid 7', '/boot/hello.elf'],
  );
});

test('a stopped VM with several CPUs is listed as that', () => {
  const vm = runningVm('hello', ['client']);
  const { description } = vmItem({ ...vm, state: 'paused', config: { ...vm.config, cpus: 4 } });
  assert.equal(description, 'paused, 4 CPUs, 256 MiB, pid 7');
});

test('each port that has a listener can be shown, COM1 of all VMs first', () => {
  const vms = [
    runningVm('one', ['client', 'client', 'null', 'null']),
    runningVm('two', ['stdio', 'null', 'file', 'null']),
    runningVm('mute', ['null', 'null', 'null', 'null']),
  ];
  assert.deepEqual(
    portItems(vms).map(({ label, port, vm }) => [label, port, vm.name]),
    [
      ['COM1 · one', 0, 'one'],
      ['COM1 · two', 0, 'two'],
      ['COM2 · one', 1, 'one'],
      ['COM3 · two', 2, 'two'],
    ],
  );
});
