/** What is written is what tshark reads. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { UserError } from '../../../errors.ts';
import type { CaptureOptions } from '../../backend.ts';
import { type CaptureBatch, CaptureBuffer, type CapturedFrame } from './capture.ts';
import { CaptureFile } from './captureFile.ts';
import type { CaptureOrigin } from './pcapng.ts';

const ORIGIN: CaptureOrigin = {
  hardware: 'Trapframe',
  os: 'Linux',
  application: 'Trapframe 1.0',
  comment: 'first boot, größer',
  interfaceName: 'alpine/net0',
  description: 'virtio-net of alpine',
  mac: Uint8Array.of(0xfe, 0xe1, 0xbb, 0xd1, 2, 3),
  snapBytes: 0,
};

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'trapframe-capture-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function frame(lengthBytes: number, seed = 0): CapturedFrame {
  const bytes = Uint8Array.from({ length: lengthBytes }, (_, i) => (i + seed) & 0xff);
  bytes[12] = 0x88;
  bytes[13] = 0xb5; // of nobody: tshark shows it as data
  return { lengthBytes, copyTo: (into, from) => into.set(bytes.subarray(from, from + into.length)) };
}

/** A service and main, without a thread in between. */
class Capture {
  readonly troubles: string[] = [];
  readonly batches: CaptureBatch[] = [];
  readonly arms: number[] = [];
  readonly file: CaptureFile;
  readonly buffer: CaptureBuffer;
  /** False: main does not come round to it. */
  isPrompt = true;

  constructor(options: Omit<CaptureOptions, 'path'> = {}, to = path.join(folder, 'net.pcapng')) {
    const { snapBytes = 0, comment } = options;
    const origin = { ...ORIGIN, snapBytes, ...(comment === undefined ? {} : { comment }) };
    this.file = new CaptureFile({ path: to, ...options }, origin, {
      written: (batches) => this.buffer.onWritten(batches),
      trouble: (sentence) => this.troubles.push(sentence),
    });
    this.buffer = new CaptureBuffer(
      { snapBytes },
      {
        tell: (batch) => {
          this.batches.push(batch);
          if (this.isPrompt) this.file.add(batch);
        },
        arm: (delayMs) => this.arms.push(delayMs),
      },
    );
  }

  async end() {
    this.buffer.end();
    return this.file.end();
  }
}

function tsharkUnavailable(): string | undefined {
  return spawnSync('tshark', ['--version']).error === undefined ? undefined : 'tshark is not installed';
}
const skip = tsharkUnavailable();

/** Columns of all frames. */
function tshark(file: string, ...fields: string[]): string[][] {
  const args = ['-r', file, '-T', 'fields', ...fields.flatMap((it) => ['-e', it])];
  const { status, stdout, stderr } = spawnSync('tshark', args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(stderr.replace(/^Running as user "root".*\n/, ''), '');
  return stdout
    .split('\n')
    .filter((it) => it !== '')
    .map((it) => it.split('\t'));
}

/** isb_ifrecv (§4.6): behind the options with the times of the last block. */
function receivedIn(file: string): bigint {
  const bytes = readFileSync(file);
  const last = bytes.length - bytes.readUInt32LE(bytes.length - 4);
  const at = last + 8 + 12 + 2 * 12;
  assert.deepEqual([bytes.readUInt32LE(last), bytes.readUInt16LE(at)], [5, 4]);
  return bytes.readBigUInt64LE(at + 4);
}

describe('a capture', { skip }, () => {
  test('has each frame whole, with its direction and time, and says where it comes from', async () => {
    const capture = new Capture();
    const before = Date.now() / 1000;
    for (let i = 0; i < 50; i++) capture.buffer.add(i % 2 === 0, frame(60 + i, i));
    const summary = await capture.end();
    const file = path.join(folder, 'net.pcapng');
    assert.deepEqual(summary, { frames: 50, dropped: 0, paths: [file] });
    const rows = tshark(
      file,
      'frame.len',
      'frame.cap_len',
      'frame.packet_flags_direction',
      'frame.time_epoch',
    );
    assert.equal(rows.length, 50);
    let last = before - 0.001;
    rows.forEach(([length, captured, direction, time], i) => {
      assert.deepEqual([Number(length), Number(captured)], [60 + i, 60 + i]);
      assert.equal(Number(direction), i % 2 === 0 ? 2 : 1);
      assert.ok(Number(time) >= last && Number(time) < before + 60);
      last = Number(time);
    });
    const info = execFileSync('capinfos', [file], { encoding: 'utf8' });
    for (const said of ['Trapframe 1.0', 'first boot, größer', 'alpine/net0', 'nanoseconds'])
      assert.ok(info.includes(said), `${said} in\n${info}`);
  });

  test('keeps the beginning of each frame where a length is given', async () => {
    const capture = new Capture({ snapBytes: 68 });
    for (const length of [14, 67, 68, 69, 65550]) capture.buffer.add(true, frame(length));
    await capture.end();
    const rows = tshark(path.join(folder, 'net.pcapng'), 'frame.len', 'frame.cap_len');
    assert.deepEqual(
      rows.map((it) => it.map(Number)),
      [
        [14, 14],
        [67, 67],
        [68, 68],
        [69, 68],
        [65550, 68],
      ],
    );
  });

  test('without a frame is a file all the same', async () => {
    assert.equal((await new Capture().end()).frames, 0);
    assert.deepEqual(tshark(path.join(folder, 'net.pcapng'), 'frame.len'), []);
  });

  test('that is rotated is several files, each complete, of which the last are kept', async () => {
    const capture = new Capture({ rotateBytes: 20_000, files: 3 });
    for (let i = 0; i < 40; i++) {
      capture.buffer.add(true, frame(4000));
      capture.buffer.onTimer();
    }
    const { paths, frames } = await capture.end();
    assert.equal(frames, 40);
    assert.deepEqual(
      paths.map((it) => path.basename(it)),
      ['net-7.pcapng', 'net-8.pcapng', 'net-9.pcapng'],
    );
    assert.deepEqual(
      readdirSync(folder).sort(),
      paths.map((it) => path.basename(it)),
    );
    for (const it of paths) {
      assert.ok(statSync(it).size < 20_000 + 100); // the statistics come on top
      assert.equal(tshark(it, 'frame.len').length, 4);
    }
  });

  test('that is rotated says at the end of each file what it has so far, in whatever batches it came', async () => {
    const capture = new Capture({ rotateBytes: 20_000 });
    for (let i = 0; i < 12; i++) capture.buffer.add(true, frame(4000));
    const { paths } = await capture.end();
    assert.equal(paths.length, 3);
    assert.deepEqual(paths.map(receivedIn), [4n, 8n, 12n]);
  });

  test('that a full disk ends says so once, and what is there can be read', async (t) => {
    const disk = path.join(folder, 'disk');
    mkdirSync(disk);
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', disk]);
    if (status !== 0) return t.skip('no small file system can be made here');
    try {
      const capture = new Capture({}, path.join(disk, 'net.pcapng'));
      for (let i = 0; i < 40; i++) {
        capture.buffer.add(true, frame(4000));
        if (i < 5) capture.buffer.onTimer();
      }
      const { frames, dropped } = await capture.end();
      assert.equal(capture.troubles.length, 1);
      assert.match(capture.troubles[0] ?? '', /net\.pcapng" cannot be written \(no space left on device/);
      assert.ok(frames > 10 && frames + dropped === 40, `${frames} and ${dropped}`);
      assert.equal(tshark(path.join(disk, 'net.pcapng'), 'frame.len').length, frames);
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});

test('frames that main does not come round to are dropped and counted, in bounded memory', async () => {
  const capture = new Capture();
  capture.isPrompt = false;
  for (let i = 0; i < 10_000; i++) capture.buffer.add(true, frame(1514));
  const waiting = capture.batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.ok(waiting < 5 * 2 ** 20);
  capture.isPrompt = true;
  capture.batches.forEach((it) => capture.file.add(it));
  const { frames, dropped } = await capture.end();
  assert.ok(dropped > 5000);
  assert.equal(frames + dropped, 10_000);
});

test('a timer flushes what has waited, and is asked for when the first frame of a batch comes', () => {
  const capture = new Capture();
  capture.buffer.add(true, frame(60));
  capture.buffer.add(true, frame(60));
  assert.deepEqual([capture.arms.length, capture.batches.length], [1, 0]);
  capture.buffer.onTimer();
  capture.buffer.onTimer();
  assert.deepEqual([capture.arms.length, capture.batches.length], [1, 1]);
});

test('a file that cannot be made is one clear sentence', () => {
  assert.throws(
    () => new Capture({}, path.join(folder, 'nowhere', 'net.pcapng')),
    (error: unknown) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /^the capture cannot be written to ".*" \(no such file or directory/);
      return true;
    },
  );
  execFileSync('mkfifo', [path.join(folder, 'fifo')]);
  assert.throws(() => new Capture({}, path.join(folder, 'fifo')), /is a FIFO/);
});

test('a file that is there is replaced', async () => {
  const file = path.join(folder, 'net.pcapng');
  writeFileSync(file, 'x'.repeat(100_000));
  await new Capture().end();
  assert.ok(existsSync(file) && statSync(file).size < 1000);
});

test('a file that another capture writes to is refused, and left as it is', async () => {
  const file = path.join(folder, 'net.pcapng');
  const first = new Capture();
  first.buffer.add(true, frame(60));
  first.buffer.onTimer();
  assert.throws(
    () => new Capture(),
    /^UserError: the capture cannot be written to ".*" \(another capture writes to it\)/,
  );
  await first.end();
  assert.ok(statSync(file).size > 200);
  await new Capture().end();
});
