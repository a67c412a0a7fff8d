/**
 * Disks as a stock Debian kernel's own drivers use them: its root on a qcow2 disk, over PCI and over MMIO,
 * data that comes back as it was written, space that is given back, resizing, several disks and CPUs, kills.
 * LAB_DISK_MIB and LAB_ROUNDS make it long (test/soak).
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { bootWithDisks, type DiskGuest, type DiskGuestOptions } from './inside/diskGuest.ts';
import { DISK } from './inside/labProtocol.ts';
import { VMM } from './inside/vmmRun.ts';

const DATA_MIB = Number(process.env['LAB_DISK_MIB'] ?? '64');
const ROUNDS = Number(process.env['LAB_ROUNDS'] ?? '3');
const LONG_MS = 600_000;

const skip = reasonToSkip();
let folder = '';
let count = 0;

function reasonToSkip(): string | false {
  if (!existsSync(VMM)) return 'dist/vmm.js is not there: run "npm run build"';
  return existsSync(DISK.root) ? false : `L1 has no ${DISK.root}`;
}

async function vmm(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [VMM, ...args], { timeout: LONG_MS });
  return stdout;
}

/** A new image of a format; of the root when no size is given. */
async function image(format: 'raw' | 'qcow2', size?: string): Promise<string> {
  const file = path.join(folder, `${count++}.${format}`);
  const source = size === undefined ? ['-i', `raw:${DISK.root}`] : ['-s', size];
  await vmm('create', ...source, `${format}:${file}`);
  return file;
}

async function boot(
  t: TestContext,
  disks: readonly string[],
  options?: DiskGuestOptions,
): Promise<DiskGuest> {
  const guest = bootWithDisks(disks, options);
  t.after(() => guest.kill());
  await guest.ready();
  return guest;
}

/** Throws when the image is damaged; leaks are none either after an orderly end. */
async function check(...images: readonly string[]): Promise<void> {
  for (const it of images) await vmm('check', it);
}

async function allocatedBytes(file: string): Promise<number> {
  return (await stat(file)).blocks * 512;
}

/** Data that does not compress, a file of it, and its sum. */
function writeData(directory: string): string {
  return `dd if=/dev/urandom of=${directory}/data bs=1M count=${DATA_MIB} 2>/dev/null && sync && sha256sum < ${directory}/data`;
}

describe('a stock Debian kernel with disks', { skip }, () => {
  before(async () => {
    folder = await mkdtemp(path.join(DISK.mount, 'test-'));
  });
  after(() => rm(folder, { recursive: true }));

  for (const transport of ['pci', 'mmio']) {
    it(`has its root on a qcow2 disk over ${transport}, and reads back what it wrote`, async (t) => {
      const root = await image('qcow2');
      const disk = `${root},format=qcow2,transport=${transport}`;
      const guest = await boot(t, [disk]);
      const sum = await guest.sh(writeData('/root'), LONG_MS);
      await guest.sh(
        'tar cf /root/copy.tar -C / bin sbin usr lib lib64 root/data && tar tf /root/copy.tar >/dev/null',
      );
      assert.equal(await guest.powerOff(), 0);
      await check(root);
      const again = await boot(t, [disk]);
      assert.equal(await again.sh('sha256sum < /root/data', LONG_MS), sum);
      await again.sh(
        'mkdir /tmp/x && tar xf /root/copy.tar -C /tmp/x bin && cmp /bin/busybox /tmp/x/bin/busybox',
      );
      assert.equal(await again.powerOff(), 0);
      t.diagnostic('rounds: 1');
    });
  }

  it('drives four disks of both formats at once, with four CPUs, and fio finds every block as written', async (t) => {
    const root = await image('qcow2');
    const others = [await image('qcow2', '256M'), await image('raw', '256M'), await image('qcow2', '256M')];
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

  it('gives space back by discard and fstrim', async (t) => {
    const root = await image('qcow2');
    const data = await image('qcow2', '512M');
    const guest = await boot(t, [`${root},format=qcow2`, `${data},format=qcow2`]);
    await guest.sh('mke2fs -q -t ext4 /dev/vdb && mount -t ext4 /dev/vdb /mnt');
    await guest.sh(writeData('/mnt'), LONG_MS);
    const full = await allocatedBytes(data);
    await guest.sh('rm /mnt/data && sync && fstrim /mnt && umount /mnt && e2fsck -fn /dev/vdb');
    const trimmed = await allocatedBytes(data);
    assert.ok(trimmed < full - (DATA_MIB / 2) * 2 ** 20, `${full} bytes before, ${trimmed} after`);
    await guest.sh('blkdiscard /dev/vdb');
    assert.ok((await allocatedBytes(data)) < 2 ** 20);
    assert.equal(await guest.powerOff(), 0);
    await check(data);
  });

  it('sees a disk grow while it runs', async (t) => {
    const root = await image('qcow2');
    const data = await image('qcow2', '64M');
    const more = ['--name', 'grows'];
    const guest = await boot(t, [`${root},format=qcow2`, `${data},format=qcow2`], { more });
    assert.equal(await guest.sh('blockdev --getsize64 /dev/vdb'), String(64 * 2 ** 20));
    await guest.sh('mke2fs -q -t ext4 /dev/vdb');
    await vmm('disk', 'resize', 'grows:1', '128M');
    const size =
      'i=0; until [ $(blockdev --getsize64 /dev/vdb) = 134217728 ] || [ $i -ge 500 ]; do i=$((i+1)); usleep 20000; done';
    await guest.sh(
      `${size}; [ $i -lt 500 ] && e2fsck -fy /dev/vdb >/dev/null; resize2fs /dev/vdb && e2fsck -fn /dev/vdb`,
    );
    assert.equal(await guest.powerOff(), 0);
    await check(data);
  });

  it('lets its driver go and takes it again, over and over', async (t) => {
    const root = await image('qcow2');
    const data = await image('qcow2', '64M');
    const guest = await boot(t, [`${root},format=qcow2`, `${data},format=qcow2`]);
    const device = 'd=$(basename $(readlink -f /sys/block/vdb/device)); w=/sys/bus/virtio/drivers/virtio_blk';
    const round =
      'dd if=/dev/zero of=/dev/vdb bs=64k count=100 2>/dev/null & echo $d > $w/unbind; wait; echo $d > $w/bind';
    await guest.sh(
      `${device}; for i in $(seq ${10 * ROUNDS}); do ${round}; [ -b /dev/vdb ] || exit 1; done`,
      LONG_MS,
    );
    await guest.sh('dd if=/dev/vdb of=/dev/null bs=1M');
    assert.equal(await guest.powerOff(), 0);
    await check(data);
  });

  it('reboots with writes under way, and its file system survives each time', async (t) => {
    const root = await image('qcow2');
    const guest = await boot(t, [`${root},format=qcow2`], { cmdline: 'panic=-1' });
    for (let round = 0; round < ROUNDS; round++) {
      await guest.sh(
        'sync; (while :; do dd if=/dev/urandom of=/root/noise bs=64k count=64 conv=fsync; done) >/dev/null 2>&1 &',
      );
      guest.run.type('usleep 300000; reboot -f\n');
      await guest.ready();
    }
    assert.equal(await guest.powerOff(), 0);
    await check(root);
    t.diagnostic(`rounds: ${ROUNDS}`);
  });

  it('loses nothing that was synced when vmm is killed', async (t) => {
    const root = await image('qcow2');
    const data = await image('qcow2', '256M');
    const disks = [`${root},format=qcow2`, `${data},format=qcow2`];
    const maker = await boot(t, disks);
    await maker.sh('mke2fs -q -t ext4 /dev/vdb');
    assert.equal(await maker.powerOff(), 0);
    for (let round = 0; round < ROUNDS; round++) {
      const guest = await boot(t, disks);
      await guest.sh('e2fsck -fy /dev/vdb >/dev/null; mount -t ext4 /dev/vdb /mnt');
      const sum = await guest.sh(
        `dd if=/dev/urandom of=/mnt/kept bs=1M count=8 2>/dev/null; sync; sha256sum < /mnt/kept`,
      );
      const noise = 'dd if=/dev/urandom of=/mnt/$((i=i+1)) bs=256k count=4 conv=fsync';
      guest.run.type(`i=0; while :; do ${noise}; done >/dev/null 2>&1\n`);
      await new Promise((resolve) => setTimeout(resolve, 200 + ((round * 379) % 900))); // in the middle
      await guest.kill();
      const after = await vmmCheckAllowingLeaks(data);
      t.diagnostic(`killed: ${after}`);
      const reader = await boot(t, disks);
      await reader.sh('mount -t ext4 /dev/vdb /mnt');
      assert.equal(await reader.sh('sha256sum < /mnt/kept'), sum);
      await reader.sh('umount /mnt && e2fsck -fn /dev/vdb');
      assert.equal(await reader.powerOff(), 0);
    }
    t.diagnostic(`rounds: ${ROUNDS}`);
  });
});

/** Exit code 3, as of `qemu-img check`: leaks, but no damage. */
async function vmmCheckAllowingLeaks(file: string): Promise<string> {
  try {
    await vmm('check', file);
    return 'no leaks';
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 3, String(error));
    return 'leaks only';
  }
}
