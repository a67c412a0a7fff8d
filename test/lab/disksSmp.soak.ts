/**
 * Several disks and several CPUs at once, with a stock Debian kernel: `npm run test:soak -- lab-disks`. Four
 * busy CPUs are what the emulator loses most often, QEMU's own guests too (README.md). LAB_DISK_MIB makes it
 * long.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { boot, check, ImageFolder, LONG_MS, reasonToSkipDisks } from './inside/diskImages.ts';

const DATA_MIB = Number(process.env['LAB_DISK_MIB'] ?? '4');

describe('a stock Debian kernel with four CPUs', { skip: reasonToSkipDisks() }, () => {
  let folder: ImageFolder;
  before(async () => {
    folder = await ImageFolder.make();
  });
  after(() => folder.remove());

  it('drives four disks of both formats at once, and fio finds every block as written', async (t) => {
    const root = await folder.image('qcow2');
    const size = `${Math.max(256, DATA_MIB)}M`;
    const others = [
      await folder.image('qcow2', size),
      await folder.image('raw', size),
      await folder.image('qcow2', size),
    ];
    const disks = [root, ...others].map((it) => `${it},format=${path.extname(it).slice(1)}`);
    const guest = await boot(t, disks, { cpus: 4, memory: '512M' });
    const jobs = ['vdb', 'vdc', 'vdd'].map((it) => `--name=${it} --filename=/dev/${it}`).join(' ');
    const kind = '--rw=randwrite --bsrange=4k-64k --direct=1 --ioengine=psync --numjobs=1 --thread';
    const verify = '--verify=crc32c --verify_fatal=1 --do_verify=1';
    const report = await guest.sh(`fio ${kind} --size=${DATA_MIB}m ${verify} ${jobs} 2>&1`, LONG_MS);
    assert.equal([...report.matchAll(/err= 0/g)].length, 3, report);
    assert.equal(await guest.powerOff(), 0);
    await check(root, ...others.filter((it) => it.endsWith('qcow2')));
  });
});
