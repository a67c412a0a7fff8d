/** The inspector beside a guest: what it tells, and that neither guest nor threads notice. */
import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { inspectDevice, inspectMachine, inspectVcpu } from '../../vmm-core/protocol/devices.ts';
import { guest } from '../guests/build.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { type LiveClient, startVm } from '../support/liveVm.ts';
import { temporaryFolder, vmm } from '../support/vmmProcess.ts';

const MAX_TRIES = 10;
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
  const { devices, interrupts, memory, chips } = await connection.sendRequest(inspectMachine);
  assert.deepEqual(Object.keys(chips), ['PIC, master', 'PIC, slave', 'IOAPIC', 'PIT']);
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

kvmTest('a network interface is shown with what its link knows, paused or running', async (t) => {
  const { client } = await startVm(t, { kernel: await guest('spin'), networks: ['user'] });
  const look = () => client.vmm.connection.sendRequest(inspectDevice, { name: 'net0' });
  for (const resume of [false, true]) {
    if (resume) await client.resume();
    const { decoded, link } = await look();
    assert.equal(decoded?.['kind'], 'user');
    for (const part of ['guest', 'leases', 'neighbours', 'tcp', 'udp', 'forwards', 'counters'])
      assert.ok(link !== undefined && part in link, part);
  }
});

/** It polls: reads of 4 KiB, 32 at a time, without an end. */
const LOAD = 'scan=0xd0000000,0x1000,8 op=read bytes=4096 depth=32 count=1000000000 step=random';

async function startLoad(t: TestContext): Promise<LiveClient> {
  const disk = path.join(temporaryFolder(t), 'disk.img');
  writeFileSync(disk, '');
  truncateSync(disk, 2 ** 20);
  const { client } = await startVm(t, {
    kernel: await guest('blkLoad'),
    cmdline: LOAD,
    disks: [{ path: disk, format: 'raw', transport: 'mmio' }],
  });
  await client.attachSerial();
  await client.resume();
  await client.printed('S');
  return client;
}

kvmTest("a disk's features and queues are shown while its driver works", async (t) => {
  const { connection } = (await startLoad(t)).vmm;
  const look = () => connection.sendRequest(inspectDevice, { name: 'blk0' });
  const { virtio, decoded } = await look();
  assert.equal(decoded?.['capacity'], 2 ** 20 / 512);
  assert.deepEqual(virtio?.features.set, ['VIRTIO_BLK_F_FLUSH', 'VIRTIO_F_VERSION_1']);
  assert.ok(virtio.notTaken.includes('VIRTIO_BLK_F_DISCARD') && virtio.status.set.length === 4);
  assert.equal(virtio.brokenRule, undefined);
  const used = async (): Promise<number> => {
    const rings = (await look()).virtio?.queues[0]?.rings;
    return typeof rings === 'object' ? rings.usedIdx : assert.fail(rings ?? 'no rings');
  };
  const before = await used();
  while ((await used()) === before); // it goes on, and we see it
});

kvmTest(
  'a driver that breaks a rule is shown with the rule, and its rings as far as they can be read',
  async (t) => {
    const client = await startLoad(t);
    const { connection } = client.vmm;
    const look = async () => (await connection.sendRequest(inspectDevice, { name: 'blk0' })).virtio;
    const descriptors = (await look())?.queues[0]?.descriptorTable ?? '';
    // Every chain that comes from now on, until the driver has written its descriptors again.
    const chains = Array.from({ length: 128 }, () => [
      ...Array<number>(12).fill(0xff),
      1,
      0,
      0xff,
      0xff,
    ]).flat();
    for (let virtio = await look(); virtio?.brokenRule === undefined; virtio = await look()) {
      await client.write({ address: descriptors, physical: true }, chains);
    }
    const virtio = await look();
    assert.match(virtio?.brokenRule ?? '', /^§2\.7/);
    assert.ok(virtio?.status.set.includes('VIRTIO_CONFIG_S_NEEDS_RESET'));
  },
);

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
  // They may still be going to sleep, and node now and then wakes all threads once. A look that woke them
  // would do so each time.
  let before = await look();
  let after = await look();
  for (let tries = 1; tries < MAX_TRIES && !isDeepStrictEqual(before, after); tries++)
    [before, after] = [after, await look()];
  assert.deepEqual(after, before);
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
