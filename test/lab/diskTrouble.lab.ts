/**
 * Disks of a Linux guest on a host whose storage is full, slow, broken, or no file: the guest has to see it,
 * its user is told once, and nothing that was written is lost.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { boot, check, reasonToSkipDisks, vmm } from './inside/diskImages.ts';
import type { DiskGuest, DiskGuestOptions } from './inside/diskGuest.ts';
import { l1, LoopDevice, SmallFileSystem, TroubledDevice } from './inside/l1Storage.ts';

const MIB = 2 ** 20;
const FORMATS = ['qcow2', 'raw'];
/** How long a disk does not answer. */
const SLOW_MS = 3000;

/** The initrd's own shell: no disk is the root. */
function bootFromInitrd(t: TestContext, disks: readonly string[], options?: DiskGuestOptions) {
  return boot(t, disks, { ...options, cmdline: 'lab.root=none', memory: '256M' });
}

/** Past the guest's page cache: the disk's answer is dd's. */
function write(disk: string, atMib: number, mib: number): string {
  return `dd if=/tmp/data of=/dev/${disk} bs=1M seek=${atMib} count=${mib} oflag=direct 2>&1`;
}

function sum(disk: string, atMib: number, mib: number): string {
  return `dd if=/dev/${disk} bs=1M skip=${atMib} count=${mib} iflag=direct 2>/dev/null | sha256sum`;
}

/** Data that does not compress, in /tmp/data. Returns its sum. */
function makeData(guest: DiskGuest, mib: number): Promise<string> {
  const data = `dd if=/dev/urandom of=/tmp/data bs=1M count=${mib} 2>/dev/null`;
  return guest.sh(`mount -t tmpfs tmp /tmp; ${data}; sha256sum < /tmp/data`);
}

async function fails(guest: DiskGuest, command: string): Promise<void> {
  const { code, output } = await guest.try(command);
  assert.notEqual(code, 0, `in the guest, ${command} did not fail: ${output}`);
  assert.match(output, /I\/O error|Input\/output error/);
}

function linesWith(text: string, pattern: RegExp): readonly string[] {
  return text.split('\n').filter((it) => pattern.test(it));
}

describe('disks of a Linux guest on storage in trouble', { skip: reasonToSkipDisks() }, () => {
  it('are full: the guest gets an error, its user one message, and with more space it goes on', async (t) => {
    const places = [await SmallFileSystem.mount(t, '24M'), await SmallFileSystem.mount(t, '24M')];
    const [qcow2 = '', raw = ''] = places.map((it, i) => path.join(it.path, `disk.${FORMATS[i] ?? ''}`));
    await vmm('create', '-s', '256M', `qcow2:${qcow2}`);
    await vmm('create', '-s', '256M', `raw:${raw}`);
    const guest = await bootFromInitrd(t, [`${qcow2},format=qcow2`, `${raw},format=raw`]);
    const wanted = await makeData(guest, 16);
    for (const disk of ['vda', 'vdb']) {
      await guest.sh(write(disk, 0, 16));
      await fails(guest, write(disk, 32, 16));
      await fails(guest, write(disk, 48, 16));
      assert.equal(await guest.sh(sum(disk, 0, 16)), wanted);
    }
    for (const it of places) await it.grow('64M');
    for (const disk of ['vda', 'vdb']) {
      await guest.sh(write(disk, 32, 16));
      for (const at of [0, 32]) assert.equal(await guest.sh(sum(disk, at, 16)), wanted);
    }
    assert.equal(await guest.powerOff(), 0);
    for (const it of [qcow2, raw])
      assert.equal(linesWith(guest.run.errors, RegExp(`${it}.*no space`, 'i')).length, 1, guest.run.errors);
    await check(qcow2);
  });

  it('do not answer for seconds: the guest waits, and goes on', async (t) => {
    const device = await TroubledDevice.make(t, 64 * MIB);
    const guest = await bootFromInitrd(t, [`${device.path},format=raw,cache=none`]);
    const wanted = await makeData(guest, 8);
    await device.stop();
    await guest.sh(`(${write('vda', 0, 8)}; echo $? > /tmp/done) >/dev/null &`);
    await new Promise((resolve) => setTimeout(resolve, SLOW_MS)); // what the test is about
    assert.equal(await guest.sh('ls /tmp/done 2>/dev/null || echo waits'), 'waits');
    await device.goOn();
    await guest.sh('until [ -s /tmp/done ]; do usleep 10000; done; exit $(cat /tmp/done)');
    assert.equal(await guest.sh(sum('vda', 0, 8)), wanted);
    assert.equal(await guest.powerOff(), 0);
    assert.equal(guest.run.errors, '');
  });

  it('fail: the guest gets an error, its user one message, and nothing old is lost', async (t) => {
    const direct = await TroubledDevice.make(t, 64 * MIB);
    const cached = await TroubledDevice.make(t, 64 * MIB);
    const disks = [`${direct.path},format=raw,cache=none`, `${cached.path},format=raw`];
    const guest = await bootFromInitrd(t, disks);
    const wanted = await makeData(guest, 8);
    await guest.sh(write('vda', 0, 8));
    await direct.fail();
    await fails(guest, write('vda', 8, 8));
    await fails(guest, write('vda', 16, 8));
    await fails(guest, 'dd if=/dev/vda of=/dev/null bs=1M count=1 iflag=direct 2>&1');
    await direct.heal();
    await guest.sh(write('vda', 8, 8));
    assert.equal(await guest.sh(sum('vda', 0, 8)), wanted);
    assert.equal(await guest.sh(sum('vda', 8, 8)), wanted);
    // The host's page cache takes what is written; it is the flush that cannot be done.
    await cached.fail();
    await fails(guest, 'dd if=/tmp/data of=/dev/vdb bs=1M conv=fsync 2>&1');
    await guest.powerOff();
    const told = [`write "${direct.path}"`, `read "${direct.path}"`, `sync "${cached.path}"`];
    for (const it of told)
      assert.equal(linesWith(guest.run.errors, RegExp(`cannot ${it}: EIO`)).length, 1, it);
    assert.equal(linesWith(guest.run.errors, /./).length, told.length, guest.run.errors);
  });

  it('are block devices: written, read-only, and resized by their own tools', async (t) => {
    const disk = await LoopDevice.make(t, 32 * MIB);
    const medium = await LoopDevice.make(t, 8 * MIB, '-r');
    await assert.rejects(
      vmm('run', '--kernel', '/payloads/vmlinux', '--disk', `${medium.path},format=raw`),
      /read-only, or in snapshot mode/,
    );
    const disks = [`${disk.path},format=raw`, `${medium.path},format=raw,ro`];
    const guest = await bootFromInitrd(t, disks, { more: ['--name', 'blocks'] });
    const wanted = await makeData(guest, 8);
    await guest.sh(write('vda', 24, 8));
    assert.equal(await guest.sh('blockdev --getro /dev/vda; blockdev --getro /dev/vdb'), '0\n1');
    await assert.rejects(vmm('disk', 'resize', 'blocks:0', '64M'), /only be resized by its own tools/);
    await disk.grow(64 * MIB);
    await vmm('disk', 'resize', 'blocks:0', '64M');
    await guest.sh('until [ $(blockdev --getsize64 /dev/vda) = 67108864 ]; do usleep 10000; done');
    await guest.sh(write('vda', 56, 8));
    assert.equal(await guest.powerOff(), 0);
    for (const at of [24, 56])
      assert.equal(await l1('sh', '-c', `dd if=${disk.file} bs=1M skip=${at} count=8 | sha256sum`), wanted);
  });
});
