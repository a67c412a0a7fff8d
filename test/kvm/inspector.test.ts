/** The inspector beside a guest: what it tells, and that neither guest nor threads notice. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { inspectDevice, inspectMachine, inspectVcpu } from '../../vmm-core/protocol/devices.ts';
import { guest } from '../guests/build.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { startVm } from '../support/liveVm.ts';
import { vmm } from '../support/vmmProcess.ts';

const LOOKS = 200;

/** How often the kernel has put another thread in its place, by its own wish or not. */
function contextSwitches(pid: number, threadId: number): number {
  const status = readFileSync(`/proc/${pid}/task/${threadId}/status`, 'utf8');
  const counts = [...status.matchAll(/^(?:non)?voluntary_ctxt_switches:\s+(\d+)$/gm)];
  assert.equal(counts.length, 2);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

kvmTest("a running guest's devices are shown by their registers", async (t) => {
  const { client } = await startVm(t, { kernel: await guest('serialEcho'), name: 'shown' });
  await client.attachSerial();
  await client.resume();
  await client.printed('\n');
  const { connection } = client.vmm;
  const { devices, interrupts, memory } = await connection.sendRequest(inspectMachine);
  assert.deepEqual(memory, [{ base: '0x0', sizeBytes: 16 * 2 ** 20 }]);
  const com1 = await connection.sendRequest(inspectDevice, {
    name: devices.find((it) => it === 'com1') ?? '',
  });
  assert.deepEqual(com1.ports, [{ base: '0x3f8', sizeBytes: 8 }]);
  assert.ok('output' in com1.registers && 'lcr' in com1.registers);
  const [line] = interrupts.filter(({ gsi }) => com1.irqs.includes(gsi));
  assert.ok(line?.users.includes('com1'));
  for (const name of devices) {
    const report = await connection.sendRequest(inspectDevice, { name });
    assert.equal(report.name, name);
  }
});

kvmTest('nothing wakes a vCPU that waits, however often somebody looks', async (t) => {
  const { client } = await startVm(t, { kernel: await guest('spin'), cpus: 4 });
  await client.resume();
  await client.pause(); // all threads are there
  await client.resume();
  const { connection, info } = client.vmm;
  const { vcpus, devices } = await connection.sendRequest(inspectMachine);
  const waiting = vcpus.slice(1).map(({ threadId }) => threadId);
  assert.ok(waiting.every((it) => it !== 0 && it !== info.pid));
  const name = devices[0] ?? '';
  const look = async (): Promise<number[]> => {
    for (let i = 0; i < LOOKS; i++) await connection.sendRequest(inspectDevice, { name });
    return waiting.map((it) => contextSwitches(info.pid, it));
  };
  await look(); // until they have gone to sleep
  assert.deepEqual(await look(), await look());
});

kvmTest("a stopped vCPU's whole state is shown by names, a running one's is refused", async (t) => {
  const { client } = await startVm(t, { kernel: await guest('spin'), cpus: 2 });
  const { connection } = client.vmm;
  const { parts } = await connection.sendRequest(inspectVcpu, { cpu: 1 });
  for (const part of ['REGS', 'LAPIC', 'MSRS', 'MP_STATE']) assert.ok(part in parts, part);
  const { rip } = parts['REGS'] as { readonly rip: string };
  assert.match(rip, /^0x[0-9a-f]+$/);
  await assert.rejects(connection.sendRequest(inspectVcpu, { cpu: 2 }), /there is no vCPU 2: the VM has 2/);
  await client.resume();
  await assert.rejects(connection.sendRequest(inspectVcpu, { cpu: 0 }), /running: pause it first/);
});

kvmTest('a device that is not there, and a name that is none, are errors of the user', async (t) => {
  const { client } = await startVm(t, { kernel: await guest('spin') });
  const { connection } = client.vmm;
  await assert.rejects(connection.sendRequest(inspectDevice, { name: 'com9' }), /no device com9: .*com1/);
  const name = 'x'.repeat(1000);
  await assert.rejects(connection.sendRequest(inspectDevice, { name }), /name must be a text of at most 60/);
});

kvmTest('vmm show prints a screen for each device, or one JSON object', async (t) => {
  const { client, env } = await startVm(t, { kernel: await guest('spin'), name: 'shown' });
  await client.resume();
  const text = await vmm(t, ['show'], { env });
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /^shown {2}process \d+, running\n/);
  assert.match(text.stdout, /\n\ncom1 \(\w+\)\n {2}ports {7}0x3f8-0x3ff\n/);
  const { stdout } = await vmm(t, ['show', 'shown', '--device', 'com2', '--json'], { env });
  const { name, devices } = JSON.parse(stdout) as { name: string; devices: readonly { name: string }[] };
  assert.deepEqual([name, devices.map((it) => it.name)], ['shown', ['com2']]);
});

kvmTest('vmm show says in one line what it was given wrong', async (t) => {
  const { client, env } = await startVm(t, { kernel: await guest('spin'), name: 'shown' });
  await client.resume();
  const cases = [
    [['show', 'other'], 'no VM "other" is running: there are shown'],
    [['show', '--vcpu', '0'], 'the VM is running: pause it first'],
    [['show', '--vcpu', 'x'], '--vcpu takes the number of a vCPU, not "x"'],
    [['show', '--device', 'nope'], 'there is no device nope: the machine has '],
  ] as const;
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await vmm(t, args, { env });
    assert.deepEqual([code, stdout], [1, '']);
    assert.ok(stderr.startsWith(`vmm: ${message}`) && stderr.trimEnd().split('\n').length === 1, stderr);
  }
});
