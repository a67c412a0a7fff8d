/** The commands for disk images, as a user calls them. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, truncateSync, watch, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { inFolder, inFolderAsync, openDisk, writeRawDisk } from '../support/diskFiles.ts';
import { assertSameDisk, mustQemuImg, qemuCheck, type ToolResult } from '../support/qemuImg.ts';

const MAIN = path.join(import.meta.dirname, '../../vmm-core/main.ts');
const TSX = pathToFileURL(createRequire(import.meta.filename).resolve('tsx')).href;
const SIZE_BYTES = 2 ** 21;
/** Fields of a qcow2 header. */
const REFCOUNT_TABLE_OFFSET = 48;
const INCOMPATIBLE_FEATURES = 72;

describe('vmm create', () => {
  it('makes an empty image of the size, by the name or the prefix qcow2', () => {
    inFolder((folder) => {
      assert.equal(vmm(folder, 'create', '-s', '3M', 'a.qcow2').status, 0);
      assert.equal(vmm(folder, 'create', '-s', '3M', 'qcow2:b').status, 0);
      assert.equal(vmm(folder, 'create', '-s', '3M', 'c.img').status, 0);
      for (const [name, format] of [
        ['a.qcow2', 'qcow2'],
        ['b', 'qcow2'],
        ['c.img', 'raw'],
      ] as const) {
        const info = mustQemuImg('info', '-f', format, '--output=json', path.join(folder, name));
        assert.equal((JSON.parse(info) as { 'virtual-size': number })['virtual-size'], 3 * 2 ** 20);
      }
    });
  });

  it('copies another with -i, and derives one with -b', () => {
    inFolder((folder) => {
      const raw = path.join(folder, 'base.img');
      writeRawDisk(raw, SIZE_BYTES);
      assert.equal(vmm(folder, 'create', '-i', 'base.img', 'copy.qcow2').status, 0);
      assert.equal(vmm(folder, 'create', '-b', 'base.img', 'derived.qcow2').status, 0);
      assertSameDisk(path.join(folder, 'copy.qcow2'), 'qcow2', raw);
      assertSameDisk(path.join(folder, 'derived.qcow2'), 'qcow2', raw);
      writeRawDisk(path.join(folder, 'a:b'), SIZE_BYTES); // not of a protocol "a"
      assert.equal(vmm(folder, 'create', '-b', 'a:b', 'colon.qcow2').status, 0);
      assertSameDisk(path.join(folder, 'colon.qcow2'), 'qcow2', path.join(folder, 'a:b'));
      assert.equal(vmm(folder, 'convert', 'colon.qcow2', 'colon.img').status, 0);
    });
  });

  it('says in one line what it cannot do, and leaves no file', () => {
    inFolder((folder) => {
      writeRawDisk(path.join(folder, 'base.img'), SIZE_BYTES);
      const refused: readonly (readonly [string[], RegExp])[] = [
        [['create', 'a.qcow2'], /^vmm: an empty image needs a size: -s 20G$/],
        [['create', '-s', '12X', 'a.qcow2'], /"12X" is not a size/],
        [['create', '-s', '100K', 'a.qcow2'], /at least 1M/],
        [['create', '-s', '1G', 'base.img'], /exists already/],
        [['create', '-b', 'base.img', 'a.img'], /only a qcow2 image can have a base: write qcow2:a.img/],
        [['create', '-b', 'base.img', '-i', 'base.img', 'a'], /not both/],
        [['create', '-b', 'base.img', '-s', '1M', 'a.qcow2'], /more than -s says/],
        [['create', '-s', '1M', 'raw:'], /"raw:" names no file: write raw:FILE$/],
        [['create', '-s', '1M', 'vdi:a'], /images are raw or qcow2; a file of that name is raw:vdi:a$/],
        [['create', '-s', '99999999T', 'a'], /a size of 99999999T is too large: no file can have it$/],
        [['create', '-i', 'none', 'a.qcow2'], /no such file or directory/],
        [
          ['create', '-i', 'base.img', '-s', '1M', 'a.qcow2'],
          /more than -s says: leave -s out, or give more$/,
        ],
        [['create', '-s', '1M', ''], /^vmm: "" names no file: write FILE$/],
        [['create', '-s', '1M', 'none/a'], /no such file or directory \(ENOENT\); make its folder first$/],
        [['create', '-s', '1M', 'base.img/a'], /not a directory \(ENOTDIR\); choose another folder$/],
        [['convert', '-c', 'base.img', 'a.img'], /only a qcow2 image can be compressed: write qcow2:a.img$/],
      ];
      for (const [args, expected] of refused) assertRefused(vmm(folder, ...args), expected);
      assert.deepEqual(readdirSync(folder), ['base.img']);
    });
  });
});

describe('vmm convert, info, resize, check and commit', () => {
  it('convert there and back, compressed', () => {
    inFolder((folder) => {
      const raw = path.join(folder, 'disk.img');
      writeRawDisk(raw, SIZE_BYTES);
      assert.equal(vmm(folder, 'convert', '-c', 'disk.img', 'disk.qcow2').status, 0);
      assertSameDisk(path.join(folder, 'disk.qcow2'), 'qcow2', raw);
      assert.equal(vmm(folder, 'convert', 'disk.qcow2', 'again.img').status, 0);
      mustQemuImg('create', '-f', 'vmdk', path.join(folder, 'x.vmdk'), '4M');
      assertRefused(
        vmm(folder, 'convert', 'x.vmdk', 'x.img'),
        /looks like a VMDK.*: convert it with qemu-img/,
      );
      assertSameDisk(path.join(folder, 'again.img'), 'raw', raw);
      mustQemuImg('convert', '-O', 'qcow2', raw, path.join(folder, 'hidden'));
      assertRefused(
        vmm(folder, 'convert', 'hidden', 'x.img'),
        /looks like qcow2, which its name does not tell: write qcow2:hidden, or write raw:hidden/,
      );
    });
  });

  it('info tells people and scripts', () => {
    inFolder((folder) => {
      vmm(folder, 'create', '-s', '3M', 'a.qcow2');
      const { output } = vmm(folder, 'info', 'a.qcow2');
      assert.match(output, /^format: +qcow2, version 3$/m);
      const inUse = openDisk(path.join(folder, 'a.qcow2'), 'qcow2');
      const json = JSON.parse(vmm(folder, 'info', '--json', 'a.qcow2').output) as Record<string, unknown>;
      assert.equal(json['sizeBytes'], 3 * 2 ** 20);
      inUse.close();
    });
  });

  it('resize grows, and shrinks only when that is meant', () => {
    inFolder((folder) => {
      vmm(folder, 'create', '-s', '3M', 'a.qcow2');
      assert.equal(vmm(folder, 'resize', 'a.qcow2', '+2M').status, 0);
      assertRefused(vmm(folder, 'resize', 'a.qcow2', '1M'), /--shrink lets go of what is behind 1048576/);
      assertRefused(
        vmm(folder, 'resize', 'a.qcow2', '3000T'),
        /a disk of 3000 TiB is too large: with clusters of 65536 bytes, qcow2 ends at 2048 TiB/,
      );
      assert.equal(vmm(folder, 'resize', '--shrink', 'a.qcow2', '1M').status, 0);
      assert.equal(qemuCheck(path.join(folder, 'a.qcow2')).status, 0);
    });
  });

  it('check has the exit codes of QEMU', () => {
    inFolder((folder) => {
      const image = path.join(folder, 'a.qcow2');
      writeRawDisk(path.join(folder, 'disk.img'), SIZE_BYTES);
      vmm(folder, 'convert', 'disk.img', 'a.qcow2');
      assert.equal(vmm(folder, 'check', 'a.qcow2').status, 0);
      truncateSync(image, 2 ** 19);
      const { status, output } = vmm(folder, 'check', 'a.qcow2');
      assert.equal(status, 2, output);
      assert.match(output, /is beyond the end of the file/);
      assertRefused(vmm(folder, 'check', 'disk.img'), /is raw, and a raw image has nothing that could be/);
      assertRefused(vmm(folder, 'check', 'none.img'), /no such file/);
      assertRefused(vmm(folder, 'check', 'qcow2:disk.img'), /^vmm: "disk.img" is not a qcow2 image; /);
      assertRefused(vmm(folder, 'check', '--repair', 'leaks'), /^vmm: --repair needs an image$/);
    });
  });

  it('check tells of tables that it cannot read, and takes a mark away that has no reason', () => {
    inFolder((folder) => {
      const image = path.join(folder, 'a.qcow2');
      vmm(folder, 'create', '-s', '3M', 'a.qcow2');
      const good = readFileSync(image);
      writeFileSync(image, Buffer.from(good).fill(1, REFCOUNT_TABLE_OFFSET + 3, REFCOUNT_TABLE_OFFSET + 4));
      const broken = vmm(folder, 'check', 'a.qcow2');
      assert.equal(broken.status, 2);
      assert.match(broken.output, /^its refcount table is beyond the end of the file\n1 errors: /);
      writeFileSync(image, Buffer.from(good).fill(2, INCOMPATIBLE_FEATURES + 7, INCOMPATIBLE_FEATURES + 8));
      assertRefused(vmm(folder, 'resize', 'a.qcow2', '+1M'), /is marked as corrupt: "vmm check" tells why/);
      assert.match(vmm(folder, 'check', 'a.qcow2').output, /"--repair leaks" takes the mark away$/m);
      assert.equal(vmm(folder, 'check', '--repair', 'leaks', 'a.qcow2').status, 0);
      assert.deepEqual(readFileSync(image), good);
    });
  });

  it('commit moves all into the base', () => {
    inFolder((folder) => {
      const raw = path.join(folder, 'base.img');
      writeRawDisk(raw, SIZE_BYTES);
      vmm(folder, 'create', '-b', 'base.img', 'top.qcow2');
      const expected = path.join(folder, 'expected.img');
      writeFileSync(expected, readFileSync(raw).fill(9, 512, 4096));
      const top = openDisk(path.join(folder, 'top.qcow2'), 'qcow2', { backing: 'beside' });
      top.write(512, new Uint8Array(4096 - 512).fill(9));
      top.close();
      assert.equal(vmm(folder, 'commit', 'top.qcow2').status, 0);
      assertSameDisk(path.join(folder, 'top.qcow2'), 'qcow2', expected);
      assertSameDisk(raw, 'raw', expected);
      assertRefused(vmm(folder, 'commit', 'qcow2:base.img'), /is not a qcow2 image/);
    });
  });

  it('Ctrl-C leaves no half file', () =>
    inFolderAsync(async (folder) => {
      const raw = path.join(folder, 'disk.img');
      writeRawDisk(raw, 64 * SIZE_BYTES);
      const watcher = watch(folder);
      const began = once(watcher, 'change');
      const child = spawn(process.execPath, ['--import', TSX, MAIN, 'convert', '-c', 'disk.img', 'a.qcow2'], {
        cwd: folder,
        stdio: 'ignore',
      });
      const ended = once(child, 'exit');
      await began;
      watcher.close();
      child.kill('SIGINT');
      assert.deepEqual(await ended, [130, null]);
      assert.deepEqual(readdirSync(folder), ['disk.img']);
    }));
});

function vmm(folder: string, ...args: string[]): ToolResult {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', TSX, MAIN, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { status, output: `${stdout}${stderr}`.trim() };
}

function assertRefused({ status, output }: ToolResult, expected: RegExp): void {
  assert.equal(status, 1, output);
  assert.match(output, expected);
  assert.doesNotMatch(output, /\n/);
}
