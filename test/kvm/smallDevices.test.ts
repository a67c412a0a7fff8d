/** The memory balloon and named consoles as clients see them, before a guest has drivers for them. */
import assert from 'node:assert/strict';
import { balloonSetTarget, balloonStats } from '../../vmm-core/protocol/balloon.ts';
import { inspectDevice } from '../../vmm-core/protocol/devices.ts';
import { serialAttach, serialInput, serialResize } from '../../vmm-core/protocol/serial.ts';
import { guest } from '../guests/build.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { startVm } from '../support/liveVm.ts';

const MIB = 2 ** 20;

kvmTest('clients ask for memory by the balloon, and are told that nobody answers', async (t) => {
  const { client } = await startVm(t, { kernel: await guest('spin'), memory: '64M', balloon: true });
  const { connection } = client.vmm;
  await connection.sendRequest(balloonSetTarget, { sizeBytes: 16 * MIB });
  assert.deepEqual(await connection.sendRequest(balloonStats), {
    targetBytes: 16 * MIB,
    actualBytes: 0,
    reportedBytes: 0,
    isReady: false,
    statistics: {},
  });
  await client.reset();
  assert.equal((await connection.sendRequest(balloonStats)).targetBytes, 16 * MIB);
  for (const [sizeBytes, why] of [
    [-1, /^Error: a balloon of -1 bytes: give 0 or more$/],
    [64 * MIB, /^Error: a balloon of 64 MiB: the VM has 64 MiB of memory, give less than that$/],
  ] as const)
    await assert.rejects(connection.sendRequest(balloonSetTarget, { sizeBytes }), why);
});

kvmTest('a VM without a balloon says so', async (t) => {
  const { client } = await startVm(t, { kernel: await guest('spin') });
  await assert.rejects(client.vmm.connection.sendRequest(balloonStats), /the VM has no memory balloon/);
});

kvmTest('named consoles are serial ports after the others, each with a size', async (t) => {
  const consoles = ['agent', { name: 'shell', tty: true }];
  const serial = { hvc0: 'terminal' };
  const { client } = await startVm(t, { kernel: await guest('spin'), serial, consoles });
  const { connection } = client.vmm;
  for (const port of [4, 5, 6]) {
    const { backlog } = await connection.sendRequest(serialAttach, { port });
    assert.equal(backlog.length, 0);
    await connection.sendNotification(serialInput, { port, data: Buffer.from('early') });
    await connection.sendNotification(serialResize, { port, columns: 132, rows: 43 });
  }
  await assert.rejects(
    connection.sendRequest(serialAttach, { port: 7 }),
    /there is no serial port 7: ports are 0 \(COM1\) to 6/,
  );
  const { decoded } = await connection.sendRequest(inspectDevice, { name: 'hvc0' });
  assert.deepEqual([decoded?.['cols'], decoded?.['rows']], [132, 43]);
  const named = await connection.sendRequest(inspectDevice, { name: 'virtio-console' });
  assert.deepEqual(named.decoded?.['ports'], [
    { id: 1, name: 'agent' },
    { id: 2, name: 'shell' },
  ]);
  assert.equal(named.virtio?.queues.length, 8);
});
