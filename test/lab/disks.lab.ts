/**
 * Disks as a stock Debian kernel's own drivers use them: its root on a qcow2 disk, over PCI and over MMIO,
 * data that comes back as it was written, space that is given back, resizing, kills. LAB_DISK_MIB and
 * LAB_ROUNDS make it longer (test/soak).
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it, type TestContext } from 'node:test';
import { checkQcow2 } from '../../vmm-core/backends/disk/checkImage.ts';
import { openImageFile } from '../../vmm-core/backends/disk/openImage.ts';
import {
  allocatedBytes,
  boot,
  check,
  ImageFolder,
  LONG_MS,
  reasonToSkipDisks,
  vmm,
} from './inside/diskImages.ts';
import { longTest, testOver } from './inside/longTest.ts';

const DATA_MIB = Number(process.env['LAB_DISK_MIB'] ?? '32');
const ROUNDS = Number(process.env['LAB_ROUNDS'] ?? '1');
/** Of those that are killed: L1 has two CPUs. */
const VMS_AT_ONCE = Math.min(ROUNDS, 2);

/** Never ends. */
const NOISE =
  '(while :; do dd if=/dev/urandom of=/root/noise bs=64k count=64 conv=fsync; done) >/dev/null 2>&1';

/** Data that does not compress, a file of it, and its sum. */
function writeData(directory: string): string {
  const data = `dd if=/dev/urandom of=${directory}/data bs=1M count=${DATA_MIB} 2>/dev/null`;
  return `${data} && sync && sha256sum < ${directory}/data`;
}

describe('a stock Debian kernel with disks', { skip: reasonToSkipDisks() }, () => {
  let folder: ImageFolder;
  before(async () => {
    folder = await ImageFolder.make();
  });
  after(() => folder.remove());

  for (const transport of ['pci', 'mmio']) {
    testOver(transport)(
      `has its root on a qcow2 disk over ${transport}, and reads back what it wrote`,
      async (t) => {
        const root = await folder.image('qcow2');
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
      },
    );
  }

  longTest('has 26 disks, vda to vdz, each with its serial number', async (t) => {
    const letters = [...'abcdefghijklmnopqrstuvwxyz'];
    const disks = await Promise.all(
      letters.map(async (it) => `${await folder.zeros(2 ** 20)},format=raw,serial=number-${it}`),
    );
    const guest = await boot(t, disks, { cmdline: 'lab.root=none' });
    const serials = await guest.sh('for it in /sys/block/vd*; do echo ${it##*/} $(cat $it/serial); done');
    assert.deepEqual(
      serials.split('\n'),
      letters.map((it) => `vd${it} number-${it}`),
    );
    const write = 'echo this is $it | dd of=/dev/$it conv=fsync 2>/dev/null';
    await guest.sh(`for it in $(ls /sys/block | grep vd); do ${write} || exit 1; done`);
    assert.equal(await guest.powerOff(), 0);
    for (const [i, it] of disks.entries()) {
      const [file = ''] = it.split(',');
      assert.match(await readFile(file, 'latin1'), new RegExp(`^this is vd${letters[i]}\n`));
    }
  });

  for (const engine of ['uring-mapped', 'poll']) {
    longTest(`reads what it wrote by way of ${engine}`, async (t) => {
      const disk = await folder.image('qcow2', '64M');
      const options = { cmdline: 'lab.root=none', environment: { TRAPFRAME_IO: engine } };
      const guest = await boot(t, [`${disk},format=qcow2`], options);
      const sum = await guest.sh(
        'mkdir -p /tmp; dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null && sha256sum < /tmp/data',
      );
      await guest.sh('dd if=/tmp/data of=/dev/vda bs=256k oflag=direct conv=fsync');
      const read = 'dd if=/dev/vda bs=64k count=256 iflag=direct 2>/dev/null';
      assert.equal(await guest.sh(`${read} | sha256sum`), sum);
      assert.equal(await guest.powerOff(), 0);
      await check(disk);
    });
  }

  it('gives space back by discard and fstrim', async (t) => {
    const root = await folder.image('qcow2');
    const data = await folder.image('qcow2', `${2 * DATA_MIB + 256}M`);
    const guest = await boot(t, [`${root},format=qcow2`, `${data},format=qcow2`]);
    await guest.sh('/sbin/mke2fs -q -t ext4 /dev/vdb && mount -t ext4 /dev/vdb /mnt');
    await guest.sh(writeData('/mnt'), LONG_MS);
    const full = await allocatedBytes(data);
    await guest.sh('rm /mnt/data && sync && fstrim /mnt && umount /mnt && /sbin/e2fsck -fn /dev/vdb');
    const trimmed = await allocatedBytes(data);
    assert.ok(trimmed < full - (DATA_MIB / 2) * 2 ** 20, `${full} bytes before, ${trimmed} after`);
    await guest.sh('blkdiscard /dev/vdb');
    assert.ok((await allocatedBytes(data)) < 2 ** 20);
    assert.equal(await guest.powerOff(), 0);
    await check(data);
  });

  it('sees a disk grow while it runs', async (t) => {
    const root = await folder.image('qcow2');
    const data = await folder.image('qcow2', '64M');
    const more = ['--name', 'grows'];
    const guest = await boot(t, [`${root},format=qcow2`, `${data},format=qcow2`], { more });
    assert.equal(await guest.sh('blockdev --getsize64 /dev/vdb'), String(64 * 2 ** 20));
    await guest.sh('/sbin/mke2fs -q -t ext4 /dev/vdb');
    await vmm('disk', 'resize', 'grows:1', '128M');
    const size =
      'i=0; until [ $(blockdev --getsize64 /dev/vdb) = 134217728 ] || [ $i -ge 500 ]; do i=$((i+1)); usleep 20000; done';
    await guest.sh(
      `${size}; [ $i -lt 500 ] && /sbin/e2fsck -fy /dev/vdb >/dev/null; /sbin/resize2fs /dev/vdb && /sbin/e2fsck -fn /dev/vdb`,
    );
    assert.equal(await guest.powerOff(), 0);
    await check(data);
  });

  it('lets its driver go and takes it again, over and over', async (t) => {
    const root = await folder.image('qcow2');
    const data = await folder.image('qcow2', '64M');
    const guest = await boot(t, [`${root},format=qcow2`, `${data},format=qcow2`]);
    const device = 'd=$(basename $(readlink -f /sys/block/vdb/device)); w=/sys/bus/virtio/drivers/virtio_blk';
    // Opened first: where there is no device, a redirection would make a file.
    const write = 'exec 3<>/dev/vdb; dd if=/dev/zero bs=64k count=100 >&3 2>/dev/null &';
    const round = `${write} echo $d > $w/unbind; wait; exec 3>&-; echo $d > $w/bind; [ -b /dev/vdb ] || exit 1`;
    await guest.sh(`${device}; for i in $(seq ${10 * ROUNDS}); do ${round}; done`, LONG_MS);
    await guest.sh('dd if=/dev/vdb of=/dev/null bs=1M');
    assert.equal(await guest.powerOff(), 0);
    await check(data);
  });

  it('reboots with writes under way, and its file system survives each time', async (t) => {
    const root = await folder.image('qcow2');
    const guest = await boot(t, [`${root},format=qcow2`], { cmdline: 'panic=-1' });
    for (let round = 0; round < ROUNDS; round++) {
      await guest.sh(`sync; ${NOISE} &`);
      guest.run.type('usleep 300000; reboot -f\n');
      await guest.ready();
    }
    assert.equal(await guest.powerOff(), 0);
    await check(root);
    t.diagnostic(`rounds: ${ROUNDS}`);
  });

  it('starts another kernel by itself with writes under way, which finds its root again', async (t) => {
    const root = await folder.image('qcow2');
    const guest = await boot(t, [`${root},format=qcow2`]);
    for (let round = 0; round < ROUNDS; round++) {
      const sum = await guest.sh(
        'dd if=/dev/urandom of=/root/kept bs=1M count=2 2>/dev/null; sync; sha256sum < /root/kept',
      );
      await guest.sh(`${NOISE} &`);
      guest.run.type('usleep 300000; kexec /boot/vmlinuz /boot/initrd\n');
      await guest.ready();
      assert.equal(await guest.sh('sha256sum < /root/kept'), sum);
    }
    assert.equal(await guest.powerOff(), 0);
    await check(root);
    t.diagnostic(`rounds: ${ROUNDS}`);
  });

  it('loses nothing that was synced when vmm is killed', async (t) => {
    const each = Array.from({ length: VMS_AT_ONCE }, () => killAgainAndAgain(t, folder));
    const leaks = (await Promise.all(each)).reduce((sum, it) => sum + it);
    t.diagnostic(`killed: ${leaks} images had leaks, none an error`);
    t.diagnostic(`rounds: ${ROUNDS}`);
  });
});

/** Its share of the rounds. Returns how many images had leaks. */
async function killAgainAndAgain(t: TestContext, folder: ImageFolder): Promise<number> {
  const root = await folder.image('qcow2');
  const data = await folder.image('qcow2', '256M');
  const disks = [`${root},format=qcow2`, `${data},format=qcow2`];
  let guest = await boot(t, disks);
  await guest.sh('/sbin/mke2fs -q -t ext4 /dev/vdb && mount -t ext4 /dev/vdb /mnt');
  let leaks = 0;
  for (let round = 0; round < ROUNDS / VMS_AT_ONCE; round++) {
    const sum = await guest.sh(
      'dd if=/dev/urandom of=/mnt/kept bs=1M count=8 2>/dev/null; sync; sha256sum < /mnt/kept',
    );
    const noise = 'dd if=/dev/urandom of=/mnt/$((i=(i+1)%100)) bs=256k count=4 conv=fsync';
    guest.run.type(`i=0; while :; do ${noise}; done >/dev/null 2>&1\n`);
    await new Promise((resolve) => setTimeout(resolve, 200 + ((round * 379) % 900))); // in the middle
    await guest.kill();
    leaks += [root, data].filter(hasLeaks).length;
    guest = await boot(t, disks);
    await guest.sh('mount -t ext4 /dev/vdb /mnt');
    assert.equal(await guest.sh('sha256sum < /mnt/kept'), sum, `after kill ${round + 1}`);
    await guest.sh('umount /mnt && /sbin/e2fsck -fn /dev/vdb && mount -t ext4 /dev/vdb /mnt');
  }
  assert.equal(await guest.powerOff(), 0);
  return leaks;
}

/** Throws when the image is damaged. Leaks are allowed: clusters that were about to be used. */
function hasLeaks(file: string): boolean {
  const image = openImageFile(file, 'qcow2', { isReadOnly: true });
  try {
    const { errors, leaks, problems } = checkQcow2(image, { repairsLeaks: false });
    assert.equal(errors, 0, problems.join('; '));
    return leaks > 0;
  } finally {
    image.close();
  }
}
