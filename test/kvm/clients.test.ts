/**
 * The core's seam to its clients: any object that implements the interface drives a VM, without a socket or
 * protocol.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { guest } from '../guests/build.ts';
import { PATIENCE_MS } from '../support/deadline.ts';
import { guestSymbols } from '../support/guestSymbols.ts';
import { kvmTest } from '../support/kvmTest.ts';
import type { Driven } from '../support/socketlessClients.ts';

const CALL = 0xe8; // rel32
const PROGRAM = path.join(import.meta.dirname, '../support/socketlessClients.ts');

async function drive(kernel: string): Promise<Driven> {
  const args = ['--import', 'tsx', PROGRAM, kernel];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: PATIENCE_MS });
  return JSON.parse(stdout) as Driven;
}

kvmTest('clients without a socket create a VM, break, step, read and write it, and see it end', async () => {
  const kernel = await guest('counter');
  const at = guestSymbols(kernel);
  const { state, statuses, hit, code, stepped, rbx, counter, changes, gpa, reset, ended } =
    await drive(kernel);
  assert.equal(state, 'paused');
  assert.deepEqual(statuses, [
    [{ id: 5, verified: true, armed: 'sw' }],
    [{ id: 8, verified: true, armed: 'sw' }],
  ]);
  const stop = { cause: { kind: 'breakpoint' }, cpu: 0, pc: at('loop') };
  assert.deepEqual(hit, {
    first: [['resumed'], ['stopped', { ...stop, breakpointIds: [5] }]],
    second: [['resumed'], ['stopped', { ...stop, breakpointIds: [8] }]],
  });
  assert.deepEqual(code, [CALL], 'the planted int3 is hidden');
  const step = { cause: { kind: 'step' }, cpu: 0, pc: at('step'), breakpointIds: [] };
  assert.deepEqual(stepped, ['stopped', step]);
  assert.deepEqual([rbx, counter, gpa], ['0x1234', [7], Number(at('counter'))]);
  assert.deepEqual(changes, [
    ['changed', { kind: 'registers', cpu: 0, names: ['rbx'] }],
    ['changed', { kind: 'memory', address: at('counter'), cpu: 0, lengthBytes: 1 }],
  ]);
  assert.deepEqual(reset, ['reset', 'the machine was reset']);
  const end = { kind: 'killed', exitCode: 1, message: 'the client that started the VM went away' };
  assert.deepEqual(ended, ['ended', end]);
});
