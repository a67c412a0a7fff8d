/** One writer per image, ours or QEMU's: each refuses what the other has open. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openDisk } from '../support/diskFiles.ts';
import { mustQemuImg, qemuImg, qemuIo } from '../support/qemuImg.ts';

describe('locks of images', () => {
  let folder = '';
  let image = '';
  let raw = '';

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'trapframe-locks-'));
    image = path.join(folder, 'disk.qcow2');
    raw = path.join(folder, 'disk.raw');
    mustQemuImg('create', '-f', 'qcow2', image, '1M');
    mustQemuImg('create', '-f', 'raw', raw, '1M');
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const format of ['qcow2', 'raw'] as const) {
    const file = (): string => (format === 'raw' ? raw : image);

    it(`QEMU refuses to write to a ${format} image that we write to`, () => {
      const opened = openDisk(file(), format);
      const { status, output } = qemuIo('-f', format, '-c', 'write 0 512', file());
      opened.close();
      assert.notEqual(status, 0);
      assert.match(output, /lock/);
      assert.equal(qemuIo('-f', format, '-c', 'write 0 512', file()).status, 0);
    });

    it(`QEMU may read a ${format} image that we only read, and not write to it`, () => {
      const opened = openDisk(file(), format, { isReadOnly: true });
      const reading = qemuIo('-r', '-f', format, '-c', 'read 0 512', file());
      const writing = qemuIo('-f', format, '-c', 'write 0 512', file());
      opened.close();
      assert.equal(reading.status, 0, reading.output);
      assert.match(writing.output, /lock/);
    });

    it(`a ${format} image that QEMU writes to is refused, to be written or read`, async () => {
      const writer = await holding(['-f', format, file()]);
      assert.throws(
        () => openDisk(file(), format),
        /is in use by another process, or as another disk: end that use first/,
      );
      assert.throws(
        () => openDisk(file(), format, { isReadOnly: true }),
        /in use by a process that writes to it/,
      );
      await end(writer);
      openDisk(file(), format).close();
    });

    it(`a ${format} image that QEMU reads may be read`, async () => {
      const reader = await holding(['-r', '-f', format, file()]);
      openDisk(file(), format, { isReadOnly: true }).close();
      await end(reader);
    });
  }

  it('what QEMU reads as qcow2 is not written to, nor read when we write: its tables would change', async () => {
    const reader = await holding(['-r', '-f', 'qcow2', image]);
    assert.throws(() => openDisk(image, 'qcow2'), /in use/);
    await end(reader);
    const opened = openDisk(image, 'qcow2');
    const { output } = qemuImg('info', '-f', 'qcow2', image);
    opened.close();
    assert.match(output, /lock/);
  });

  it('two of ours do not share an image, also in one process; readers do', () => {
    const first = openDisk(image, 'qcow2');
    assert.throws(() => openDisk(image, 'qcow2'), /in use/);
    assert.throws(() => openDisk(image, 'qcow2', { isSnapshot: true }), /in use/);
    first.close();
    const readers = [
      openDisk(image, 'qcow2', { isReadOnly: true }),
      openDisk(image, 'qcow2', { isSnapshot: true }),
    ];
    assert.throws(() => openDisk(image, 'qcow2'), /in use/);
    for (const it of readers) it.close();
    openDisk(image, 'qcow2').close();
  });

  it('overlays share their backing file, which nobody may write to meanwhile', () => {
    const overlays = ['a', 'b'].map((name) => path.join(folder, name));
    for (const it of overlays) mustQemuImg('create', '-f', 'qcow2', '-b', raw, '-F', 'raw', it);
    const opened = overlays.map((it) => openDisk(it, 'qcow2', { backing: 'beside' }));
    assert.throws(() => openDisk(raw, 'raw'), /in use/);
    assert.notEqual(qemuIo('-f', 'raw', '-c', 'write 0 512', raw).status, 0);
    for (const it of opened) it.close();
    openDisk(raw, 'raw').close();
  });
});

/** qemu-io with the image open, waiting for a command. */
async function holding(args: readonly string[]): Promise<ChildProcess> {
  const tool = spawn('qemu-io', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  tool.stdin.write('length\n');
  await once(tool.stdout, 'data');
  return tool;
}

async function end(tool: ChildProcess): Promise<void> {
  const ended = once(tool, 'exit');
  tool.stdin?.end('quit\n');
  await ended;
}
