/** Small virtio devices as clients see them, before a guest has drivers for them. */
import assert from 'node:assert/strict';
import { inspectDevice } from '../../vmm-core/protocol/devices.ts';
import { serialAttach, serialInput, serialResize } from '../../vmm-core/protocol/serial.ts';
import { guest } from '../guests/build.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { startVm } from '../support/liveVm.ts';

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
