/** Disks under a real guest: one that polls, over MMIO, and checks each status. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { emptyQcow2 } from '../../extension/language/server/createDisk.ts';
import { decideIoEngine, IO_ENGINES } from '../../vmm-core/kvm/io/openIoEngine.ts';
import { changeDisk, listDisks, resizeDisk } from '../../vmm-core/protocol/disks.ts';
import { EXIT_OK, guest } from '../guests/build.ts';
import { within } from '../support/deadline.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { killOne } from '../support/killedVmm.ts';
import { startVm } from '../support/liveVm.ts';
import { type Finished, temporaryFolder, vmm } from '../support/vmmProcess.ts';

const OK = (EXIT_OK << 1) | 1;
const MIB = 2 ** 20;
/** More of them: npm run test:soak -- kills. */
const KILLS = 6;
const PLACE = 'scan=0xd0000000,0x1000,8';

async function load(
  t: TestContext,
  disks: readonly string[],
  work: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Finished> {
  const kernel = await guest('blkLoad');
  const flags = disks.flatMap((it) => ['--disk', `${it},transport=mmio`]);
  return vmm(
    t,
    [
      ...['run', '--kernel', kernel, '--memory', '32M', '--debug-exit', '--no-reboot', ...flags],
      ...['--cmdline', `${PLACE} ${work}`],
    ],
    { env: { XDG_RUNTIME_DIR: temporaryFolder(t), ...env } },
  );
}

function rawDisk(t: TestContext, sizeBytes: number): string {
  const file = path.join(temporaryFolder(t), 'disk.img');
  writeFileSync(file, '');
  truncateSync(file, sizeBytes);
  return file;
}

kvmTest('a guest reads and writes a raw disk, alone and many requests at a time', async (t) => {
  for (const work of [
    'op=read bytes=4096 depth=1 count=500 step=random',
    'op=read bytes=4096 depth=32 count=2000 step=random',
    'op=write bytes=4096 depth=32 count=2000 step=next',
    'op=write bytes=1048576 depth=4 count=16 step=next',
  ]) {
    const { stdout, stderr, code } = await load(t, [rawDisk(t, 16 * MIB)], work);
    assert.deepEqual([stdout, code, stderr], ['SD', OK, ''], work);
  }
});

kvmTest('each way of disk I/O that this host has serves a guest, and the VM ends with it', async (t) => {
  const work = 'op=write bytes=4096 depth=32 count=1000 step=random';
  for (const engine of IO_ENGINES.slice(IO_ENGINES.indexOf(decideIoEngine(undefined).kind))) {
    const { stdout, stderr, code } = await load(t, [rawDisk(t, 16 * MIB)], work, { TRAPFRAME_IO: engine });
    assert.deepEqual([stdout, code, stderr], ['SD', OK, ''], engine);
  }
});

kvmTest('a machine that is reset while its disk is busy begins again, and is ended so', async (t) => {
  const work = 'op=write bytes=65536 depth=32 count=100000000 step=random';
  const disks = [{ path: rawDisk(t, 16 * MIB), transport: 'mmio' }];
  const { client, core } = await startVm(t, {
    kernel: await guest('blkLoad'),
    cmdline: `${PLACE} ${work}`,
    disks,
  });
  await client.attachSerial();
  await client.resume();
  for (let round = 1; round <= 5; round++) {
    await client.printed('S'.repeat(round));
    await client.reset();
  }
  await client.kill();
  assert.equal((await within(core.exited, 'the end of the core')).code, 0);
});

kvmTest('a guest that resets its disk in the middle of reads finds its memory left alone', async (t) => {
  const resets = 20;
  for (const engine of IO_ENGINES.slice(IO_ENGINES.indexOf(decideIoEngine(undefined).kind))) {
    const work = `resets=${resets} op=read bytes=1048576 depth=4 count=4 step=next`;
    const { stdout, stderr, code } = await load(t, [rawDisk(t, 4 * MIB)], work, { TRAPFRAME_IO: engine });
    assert.deepEqual([stdout, code, stderr], [`${'R'.repeat(resets)}SD`, OK, ''], engine);
  }
});

kvmTest('a VMM that is killed has lost nothing that its guest had flushed', async () => {
  for (let seed = 1; seed <= KILLS; seed++) await killOne(seed);
});

kvmTest('disks have an I/O thread together, or each its own', async (t) => {
  const work = 'op=read bytes=4096 depth=4 count=200 step=random';
  const disks = [rawDisk(t, MIB), `${rawDisk(t, MIB)},iothread`, `${rawDisk(t, MIB)},iothread`];
  const { stdout, stderr, code } = await load(t, disks, work);
  assert.deepEqual([stdout, code, stderr], ['SD', OK, '']);
});

kvmTest('an engine that does not exist is one clear error, and no VM', async (t) => {
  const { stderr, code } = await load(t, [rawDisk(t, MIB)], 'op=read', { TRAPFRAME_IO: 'aio' });
  assert.match(
    stderr,
    /^vmm: TRAPFRAME_IO: "aio" is not an engine: give uring, uring-mapped, poll, or unset it\n$/,
  );
  assert.equal(code, 1);
});

kvmTest('a guest fills a qcow2 disk, which is sound afterwards', async (t) => {
  const file = path.join(temporaryFolder(t), 'disk.qcow2');
  writeFileSync(file, emptyQcow2(16 * MIB));
  const { stdout, code } = await load(t, [file], 'op=write bytes=65536 depth=8 count=256 step=next');
  assert.deepEqual([stdout, code], ['SD', OK]);
  const { stdout: read } = await load(t, [file], 'op=read bytes=4096 depth=32 count=1000 step=random');
  assert.equal(read, 'SD');
  assert.ok(statSync(file).size > 16 * MIB);
  if (hasQemuImg()) execFileSync('qemu-img', ['check', '-q', file]);
});

kvmTest('a disk that is read-only is not written, and a snapshot forgets', async (t) => {
  const file = rawDisk(t, MIB);
  const work = 'op=write bytes=4096 depth=4 count=100 step=random';
  const { stdout } = await load(t, [`${file},ro`], work);
  assert.equal(stdout, 'SE');
  writeFileSync(file, new Uint8Array(MIB).fill(7));
  const { code } = await load(t, [`${file},snapshot`], work);
  assert.equal(code, OK);
  assert.deepEqual(readFileSync(file), Buffer.alloc(MIB, 7));
});

kvmTest('clients list, grow and change the disks of a VM', async (t) => {
  const file = rawDisk(t, MIB);
  const other = rawDisk(t, 2 * MIB);
  const { client } = await startVm(t, { kernel: await guest('spin'), disks: [file] });
  const { connection } = client.vmm;
  assert.deepEqual(await connection.sendRequest(listDisks), [{ path: file, sizeBytes: MIB }]);
  await connection.sendRequest(resizeDisk, { disk: 0, sizeBytes: 4 * MIB });
  assert.equal(statSync(file).size, 4 * MIB);
  await connection.sendRequest(changeDisk, { disk: 0, path: other });
  assert.deepEqual(await connection.sendRequest(listDisks), [{ path: other, sizeBytes: 2 * MIB }]);
  await assert.rejects(connection.sendRequest(resizeDisk, { disk: 0, sizeBytes: MIB }), /can only grow/);
  await assert.rejects(
    connection.sendRequest(resizeDisk, { disk: 1, sizeBytes: MIB }),
    /there is no disk 1: the VM has 1, from 0/,
  );
});

function hasQemuImg(): boolean {
  try {
    execFileSync('qemu-img', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
