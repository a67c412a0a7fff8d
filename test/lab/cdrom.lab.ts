/** The CD-ROM drive as a stock Debian kernel's virtio_scsi, sr_mod and isofs have it, over PCI and MMIO. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, type TestContext } from 'node:test';
import { bootWithDisks, reasonToSkip } from './inside/diskGuest.ts';
import { vmm } from './inside/diskImages.ts';
import { isoImage } from './inside/isoImage.ts';
import { DISK } from './inside/labProtocol.ts';
import { testOver } from './inside/longTest.ts';

const MIB = 2 ** 20;
const skip = reasonToSkip();

function sum(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function makeImages(t: TestContext) {
  const folder = mkdtempSync(path.join(DISK.mount, 'cdrom-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const data = randomBytes(9 * MIB + 77);
  const first = isoImage({ 'BIG.DAT;1': data, 'HELLO.TXT;1': Buffer.from('hello from a disc\n') });
  const second = isoImage({ 'OTHER.TXT;1': Buffer.from('another disc\n') });
  const [a, b] = [path.join(folder, 'a.iso'), path.join(folder, 'b.iso')];
  writeFileSync(a, first);
  writeFileSync(b, second);
  return { a, b, data, first };
}

describe("a stock Debian kernel's CD-ROM driver", { skip }, () => {
  for (const bus of ['pci', 'mmio'])
    testOver(bus)(`mounts a disc over ${bus}, reads it, and gets another`, async (t) => {
      const { a, b, data, first } = makeImages(t);
      const cmdline = 'lab.root=none lab.modules=virtio_scsi,sr_mod,isofs';
      const more = ['--virtio', bus, '--cdrom', a, '--name', `disc-${bus}`];
      const guest = bootWithDisks([], { more, cmdline, memory: '256M' });
      t.after(() => guest.kill());
      await guest.ready();
      await guest.sh('until [ -b /dev/sr0 ]; do usleep 20000; done');
      assert.equal(await guest.sh('blockdev --getsize64 /dev/sr0'), String(first.length));
      assert.equal(await guest.sh('sha256sum < /dev/sr0 | cut -c1-64'), sum(first));
      await guest.sh('mkdir -p /mnt && mount -t iso9660 -o ro /dev/sr0 /mnt');
      assert.equal(await guest.sh('cat /mnt/hello.txt'), 'hello from a disc');
      assert.equal(await guest.sh('sha256sum < /mnt/big.dat | cut -c1-64'), sum(data));
      assert.notEqual((await guest.try('echo > /mnt/hello.txt 2>&1')).code, 0);
      await guest.sh('umount /mnt');
      await vmm('disk', 'change', `disc-${bus}:0`, b);
      await guest.sh('mount -t iso9660 -o ro /dev/sr0 /mnt');
      assert.equal(await guest.sh('cat /mnt/other.txt'), 'another disc');
      assert.match(await guest.sh('dmesg | grep "CD-ROM"'), /TRAPFRME VIRTUAL CD-ROM/);
      assert.equal(await guest.powerOff(), 0);
      assert.equal(guest.run.errors, '');
    });
});
