import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelConfiguration, withDefaults } from './defaultConfig.ts';

test('a configuration for a kernel holds only what is required', () => {
  assert.deepEqual(kernelConfiguration('build/kernel.elf'), {
    type: 'vmm',
    request: 'launch',
    name: 'Boot kernel.elf',
    kernel: '${workspaceFolder}/build/kernel.elf',
  });
});

test('relative paths start from the workspace folder unless cwd says otherwise', () => {
  const config = kernelConfiguration('kernel.elf');
  assert.equal(withDefaults(config, '/src')['cwd'], '/src');
  assert.equal(withDefaults({ ...config, cwd: '/elsewhere' }, '/src')['cwd'], '/elsewhere');
  assert.equal('cwd' in withDefaults(config, undefined), false);
});

test('the debug console does not cover a serial terminal', () => {
  const config = kernelConfiguration('kernel.elf');
  const option = (serial?: unknown): unknown =>
    withDefaults(serial === undefined ? config : { ...config, serial }, undefined)['internalConsoleOptions'];
  assert.equal(option(), 'neverOpen');
  assert.equal(option({ com2: 'terminal' }), 'neverOpen');
  assert.equal(option({ com1: 'null' }), undefined);
  assert.equal(option({ com1: 'file:log', com2: 'terminal' }), 'neverOpen');
});

test('what the user says about the debug console stays', () => {
  const config = { ...kernelConfiguration('kernel.elf'), internalConsoleOptions: 'openOnSessionStart' };
  assert.equal(withDefaults(config, undefined)['internalConsoleOptions'], 'openOnSessionStart');
});
