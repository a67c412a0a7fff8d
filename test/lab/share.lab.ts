/**
 * A folder of the host as a stock Debian kernel's own 9p driver mounts it, over PCI and over MMIO, in each
 * way it can cache: the whole tree is there and the same, nothing but it, and changes arrive or are refused.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  type Stats,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { bootWithDisks, type DiskGuest, reasonToSkip } from './inside/diskGuest.ts';
import { DISK } from './inside/labProtocol.ts';
import { longTest, testOver } from './inside/longTest.ts';

const CACHES = ['none', 'loose', 'mmap'];
const BIG_BYTES = 8 * 2 ** 20;
const MODES = [0o644, 0o755, 0o600, 0o440];

const skip = reasonToSkip();

/** On L1's disk, with something beside it that is not shared. */
function makeTree(t: TestContext): string {
  const above = mkdtempSync(path.join(DISK.mount, 'share-'));
  t.after(() => rmSync(above, { recursive: true }));
  writeFileSync(path.join(above, 'secret'), 'not for the guest');
  const root = path.join(above, 'tree');
  mkdirSync(root);
  for (let i = 0; i < 8; i++) {
    const folder = path.join(root, `d${i % 3}`, `e${i}`);
    mkdirSync(folder, { recursive: true });
    for (let j = 0; j < 8; j++) {
      const file = path.join(folder, j === 0 ? 'a name with blanks' : `f${j}`);
      writeFileSync(file, randomBytes(j * 777));
      chmodSync(file, MODES[j % MODES.length] ?? 0);
    }
    symlinkSync(`../../d${i % 3}/e${i % 3}/f${i % 7}`, path.join(folder, 'link'));
  }
  writeFileSync(path.join(root, 'big'), randomBytes(BIG_BYTES));
  symlinkSync('../secret', path.join(root, 'out'));
  mkdirSync(path.join(root, 'many'));
  for (let i = 0; i < 150; i++) writeFileSync(path.join(root, 'many', `entry-${i}`), '');
  return root;
}

/** What LISTING prints of it. */
function sumOfTree(root: string): string {
  const all = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((it) => `./${it}`);
  const names = all.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const stats = new Map(names.map((it) => [it, lstatSync(path.join(root, it))]));
  const having = (test: (it: Stats) => boolean): string[] =>
    names.filter((it) => test(stats.get(it) ?? assert.fail()));
  const lines = [
    ...having((it) => it.isFile()).map((it) => `${sumOf(readFileSync(path.join(root, it)))}  ${it}`),
    ...having((it) => !it.isSymbolicLink()).map(
      (it) => `${((stats.get(it)?.mode ?? 0) & 0o7777).toString(8)} ${it}`,
    ),
    ...having((it) => it.isSymbolicLink()).map((it) => `${it} -> ${readlinkSync(path.join(root, it))}`),
  ];
  return sumOf(`${lines.join('\n')}\n`);
}

function sumOf(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** In the guest, of its working directory: sums, modes, links. Few processes, since each takes long there. */
const SORTED = '-print0 | LC_ALL=C sort -z | xargs -0';
const LISTING = [
  `(find . -type f ${SORTED} sha256sum`,
  `find . -mindepth 1 ! -type l ${SORTED} stat -c "%a %n"`,
  'find . -type l | LC_ALL=C sort | while read -r f; do echo "$f -> $(readlink "$f")"; done) | sha256sum | cut -c1-64',
].join('; ');

async function boot(t: TestContext, ...more: readonly string[]): Promise<DiskGuest> {
  const cmdline = 'lab.root=none lab.modules=9p,9pnet_virtio';
  const guest = bootWithDisks([], { more, cmdline, memory: '384M', hasAllDrivers: true });
  t.after(() => guest.kill());
  await guest.ready();
  return guest;
}

function mount(guest: DiskGuest, tag: string, options = ''): Promise<string> {
  const all = `trans=virtio,version=9p2000.L${options}`;
  return guest.sh(`mkdir -p /mnt/${tag} && mount -t 9p -o ${all} ${tag} /mnt/${tag}`);
}

describe("a shared folder to a stock Debian kernel's 9p driver", { skip }, () => {
  for (const bus of ['pci', 'mmio'])
    testOver(bus)(`is the same tree over ${bus}, read-only, however it is cached`, async (t) => {
      const root = makeTree(t);
      const wanted = sumOfTree(root);
      const guest = await boot(t, '--virtio', bus, '--share', `${root},tag=work`);
      for (const cache of bus === 'pci' ? CACHES : ['none']) {
        await mount(guest, 'work', `,ro,cache=${cache},msize=512000`);
        const startMs = Date.now();
        assert.equal(await guest.sh(`cd /mnt/work && ${LISTING}`), wanted, cache);
        t.diagnostic(`${bus}, cache=${cache}: listed and summed in ${Date.now() - startMs} ms`);
        await guest.sh('cd / && umount /mnt/work');
      }
      await mount(guest, 'work');
      for (const change of ['touch x', 'mkdir y', 'rm big', 'echo > big', 'ln -s a z', 'mv big small']) {
        const { code, output } = await guest.try(`cd /mnt/work && ${change} 2>&1`);
        assert.notEqual(code, 0, change);
        assert.match(output, /Read-only file system|can't create/, change);
      }
      assert.equal(
        (await guest.try('cat /mnt/work/out 2>&1')).code,
        1,
        "the host's secret is not the guest's",
      );
      assert.equal(await guest.sh('ls -A /mnt'), 'work');
      assert.equal(sumOfTree(root), wanted);
      assert.equal(await guest.powerOff(), 0);
      assert.equal(guest.run.errors, '');
    });

  longTest('is written: a tree is copied there and back, and arrives on the host', async (t) => {
    const root = makeTree(t);
    const wanted = sumOfTree(root);
    const other = path.join(path.dirname(root), 'other');
    mkdirSync(other);
    const guest = await boot(t, '--share', `${root},tag=work`, '--share', `${other},tag=other,rw`);
    await mount(guest, 'work', ',ro');
    for (const cache of CACHES) {
      await mount(guest, 'other', `,cache=${cache},msize=512000`);
      await guest.sh('cp -a /mnt/work/. /mnt/other/ && sync');
      assert.equal(await guest.sh(`cd /mnt/other && ${LISTING}`), wanted, cache);
      await guest.sh('cd / && umount /mnt/other');
      assert.equal(sumOfTree(other), wanted, cache);
      await mount(guest, 'other', `,cache=${cache}`);
      await guest.sh('rm -rf /mnt/other/* && umount /mnt/other');
      assert.deepEqual(readdirSync(other), []);
    }
    assert.equal(await guest.powerOff(), 0);
    assert.equal(guest.run.errors, '');
  });

  it('has what programs do to files: append, truncate, rename over, unlink while open, hard links, mmap', async (t) => {
    const folder = mkdtempSync(path.join(DISK.mount, 'share-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const guest = await boot(t, '--share', `${folder},tag=work,rw`);
    await mount(guest, 'work');
    await guest.sh('cd /mnt/work && echo one > a && echo two >> a && echo three > b && mv b a2 && ln a2 a3');
    assert.equal(readFileSync(path.join(folder, 'a'), 'utf8'), 'one\ntwo\n');
    assert.equal(lstatSync(path.join(folder, 'a3')).nlink, 2);
    await guest.sh('cd /mnt/work && mv a2 a && truncate -s 2 a3');
    assert.equal(readFileSync(path.join(folder, 'a'), 'utf8'), 'th');
    assert.equal(await guest.sh('cd /mnt/work && exec 4<a && rm a && cat <&4; exec 4<&-'), 'th');
    await guest.sh('cd /mnt/work && mkfifo pipe && (echo through > pipe &) && cat pipe > fromPipe');
    assert.equal(readFileSync(path.join(folder, 'fromPipe'), 'utf8'), 'through\n');
    assert.notEqual((await guest.try('mknod /mnt/work/null c 1 3 2>&1')).code, 0);
    await guest.sh(
      'mkdir /mnt/work/sub && cp /bin/busybox /mnt/work/sub/ && cd /mnt/work/sub && ./busybox true',
    );
    writeFileSync(path.join(folder, 'fresh'), 'from the host');
    assert.equal(await guest.sh('cat /mnt/work/fresh'), 'from the host');
    writeFileSync(path.join(folder, 'newer'), 'once more');
    renameSync(path.join(folder, 'newer'), path.join(folder, 'fresh'));
    assert.equal(await guest.sh('cat /mnt/work/fresh'), 'once more');
    assert.match(await guest.sh('df /mnt/work | tail -1'), /^work /);
    assert.equal(await guest.powerOff(), 0);
  });

  longTest('is read fast', async (t) => {
    const root = makeTree(t);
    const guest = await boot(t, '--share', `${root},tag=work`);
    for (const [cache, msize] of [
      ['none', 8192],
      ['none', 131_072],
      ['none', 512_000],
      ['mmap', 512_000],
      ['loose', 512_000],
    ] as const) {
      await mount(guest, 'work', `,ro,cache=${cache},msize=${msize}`);
      await guest.sh('cat /mnt/work/big > /dev/null');
      const startMs = Date.now();
      await guest.sh('cat /mnt/work/big > /dev/null');
      const perSecond = BIG_BYTES / 2 ** 20 / ((Date.now() - startMs) / 1000);
      t.diagnostic(`cache=${cache}, msize=${msize}: ${perSecond.toFixed(0)} MiB/s, the second time`);
      await guest.sh('umount /mnt/work');
    }
    assert.equal(await guest.powerOff(), 0);
  });
});
