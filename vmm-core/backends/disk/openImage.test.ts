import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, it } from 'node:test';
import { inFolder, openDisk, PLAIN } from '../../../test/support/diskFiles.ts';
import { UserError } from '../../errors.ts';
import { HostFile } from './imageFile.ts';
import { otherFormat } from './imageSignature.ts';
import { DEFAULT_FORMAT, formatQcow2, type Qcow2Format } from './qcow2/formatQcow2.ts';
import { attachImage, type BackingPolicy, openImage } from './openImage.ts';

const SIZE_BYTES = 1 << 20;
const READ_ONLY_FILE = '/sys/kernel/uevent_seqnum';

describe('what is wrong with an image is said in one line', () => {
  const says = (
    title: string,
    make: (folder: string) => void,
    format: 'raw' | 'qcow2',
    expected: RegExp,
  ): void => {
    it(title, () =>
      inFolder((folder) => {
        make(folder);
        assertRefused(path.join(folder, 'disk'), format, expected);
      }),
    );
  };
  const disk = (folder: string): string => path.join(folder, 'disk');

  says(
    'it is missing',
    () => undefined,
    'raw',
    /no such file or directory \(ENOENT\); check the path, or make one with "vmm create"$/,
  );
  says(
    'a folder',
    (it) => mkdirSync(disk(it)),
    'qcow2',
    /is a directory, not a file or a block device: give the path/,
  );
  says(
    'a FIFO',
    (it) => execFileSync('mkfifo', [disk(it)]),
    'raw',
    /is a FIFO, not a file or a block device: give the path of an image$/,
  );
  says(
    'empty, raw',
    (it) => writeFileSync(disk(it), ''),
    'raw',
    /is empty, not a raw image: "vmm create" makes/,
  );
  says(
    'empty, qcow2',
    (it) => writeFileSync(disk(it), ''),
    'qcow2',
    /is empty, not a qcow2 image: "vmm create" makes/,
  );
  says(
    'not of whole sectors',
    (it) => writeFileSync(disk(it), 'x'.repeat(700)),
    'raw',
    /700 bytes.*multiple of 512/,
  );
  says(
    'another format than raw, of any size',
    (it) => writeFileSync(disk(it), `QFI\xfb${'\0'.repeat(1000)}`, 'latin1'),
    'raw',
    /is not a raw image: it looks like qcow2; say that its format is qcow2$/,
  );
  says(
    'another format than said',
    (it) => writeFileSync(disk(it), `KDMV${'\0'.repeat(1000)}`),
    'qcow2',
    /is not a qcow2 image; it looks like a VMDK image: convert it with qemu-img$/,
  );
  says(
    'an archive',
    (it) => writeFileSync(disk(it), gzipSync('a disk')),
    'qcow2',
    /looks like a gzip file: unpack it$/,
  );
  says(
    'a raw disk that was said to be qcow2',
    (it) => writeFileSync(disk(it), `${'\0'.repeat(510)}U\xaa`, 'latin1'),
    'qcow2',
    /is not a qcow2 image; it looks like a raw disk with a boot sector: say that its format is raw$/,
  );
  says(
    'no format at all',
    (it) => writeFileSync(disk(it), 'text'),
    'qcow2',
    /disk" is not a qcow2 image; if it is raw, say so$/,
  );
  for (const left of [5, 80])
    says(
      `cut short in its header, to ${left} bytes`,
      (it) => {
        makeQcow2(disk(it));
        truncateSync(disk(it), left);
      },
      'qcow2',
      /is cut short in its header: copy it again$/,
    );
  says(
    'cut short behind it',
    (it) => {
      makeQcow2(disk(it));
      truncateSync(disk(it), 512);
    },
    'qcow2',
    /is corrupt: its (refcount|L1) table is beyond the end of the file; "vmm check/,
  );
  says(
    'without the table of its snapshots',
    (it) => patched(disk(it), 63, [1, 0, 0, 0, 1]),
    'qcow2',
    /is corrupt: its snapshot table is beyond the end of the file; "vmm check/,
  );
  says(
    'of version 4',
    (it) => patched(disk(it), 7, [4]),
    'qcow2',
    /is a qcow2 image of version 4, not 2 or 3/,
  );
  says(
    'encrypted',
    (it) => patched(disk(it), 35, [2]),
    'qcow2',
    /is encrypted \(luks\), which is not supported/,
  );
  says('with a data file', (it) => patched(disk(it), 79, [4]), 'qcow2', /needs an external data file, which/);
  says('with subclusters', (it) => patched(disk(it), 79, [16]), 'qcow2', /needs extended L2 entries, which/);
  says(
    'with what is unknown',
    (it) => patched(disk(it), 72, [1]),
    'qcow2',
    /needs the incompatible feature 56, /,
  );
  says('marked as corrupt', (it) => patched(disk(it), 79, [2]), 'qcow2', /is marked as corrupt: "vmm check/);
  says(
    'with an L1 table where its refcount table is',
    (it) => {
      makeQcow2(disk(it));
      const header = readFileSync(disk(it));
      patch(disk(it), 40, [...header.subarray(48, 56)]);
    },
    'qcow2',
    /is corrupt: two tables are at 0x[0-9a-f]+; "vmm check"/,
  );
  const fields: readonly (readonly [string, number, readonly number[], RegExp])[] = [
    [
      'an L1 table larger than memory',
      36,
      [0xff, 0xff, 0xff, 0xff],
      /an L1 table of 4294967295 entries is too/,
    ],
    ['an L1 table that is not aligned', 46, [2], /l1_table_offset 0x[0-9a-f]*200 is not aligned/],
    ['refcounts larger than memory', 56, [0xff, 0xff, 0xff, 0xff], /a refcount table of 4294967295 clusters/],
    ['no refcounts', 59, [0], /a refcount table of 0 clusters/],
    ['refcounts of 128 bits', 99, [7], /refcount_order is 7, not 0 to 6/],
    ['a disk of an exabyte', 24, [0x10], /size is 0x1[0-9a-f]{15}, 2\^53 or more/],
    ['a header longer than a cluster', 100, [0xff], /header_length is [0-9]+, not 104 to 4096/],
    ['an extension longer than a cluster', 112, [1, 2, 3, 4, 0xff], /the extension at 0x70 is too long/],
    [
      'the name of its backing file elsewhere',
      8,
      [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9],
      /is outside the header/,
    ],
    ['more snapshots than there can be', 60, [0xff], /nb_snapshots is [0-9]+, not 0 to 65536/],
  ];
  for (const [what, at, bytes, expected] of fields)
    says(
      `with ${what}: before any memory is taken for it`,
      (it) => patched(disk(it), at, bytes),
      'qcow2',
      expected,
    );
  says('of odd bytes', (it) => patched(disk(it), 31, [1]), 'qcow2', /not of whole sectors of 512$/);
  says(
    'with clusters of 128 bytes',
    (it) => patched(disk(it), 23, [7]),
    'qcow2',
    /cluster_bits is 7, not 9 to 21/,
  );
  says(
    'with an L1 table that is too small',
    (it) => patched(disk(it), 24, [0, 1]),
    'qcow2',
    /too small for its size/,
  );

  it('a file that must not be written to', () => {
    // of sysfs, where not even root may
    assertRefused(READ_ONLY_FILE, 'raw', /permission denied \(EACCES\); it can be used read-only/);
  });

  it('an unknown feature by the name that the image gives it', () => {
    inFolder((folder) => {
      const names = new Uint8Array(8 + 48 + 8);
      new DataView(names.buffer).setUint32(0, 0x6803f857);
      names[7] = 48;
      names[9] = 56;
      names.set(Buffer.from('time travel'), 10);
      makeQcow2(disk(folder));
      patch(disk(folder), 112, [...names]);
      patch(disk(folder), 72, [1]);
      assertRefused(disk(folder), 'qcow2', /needs the incompatible feature "time travel", which/);
    });
  });
});

it('a raw image that is cut before its I/O thread begins is the disk that the guest was promised', () =>
  inFolder((folder) => {
    const file = path.join(folder, 'disk');
    writeFileSync(file, new Uint8Array(SIZE_BYTES));
    const opened = openImage({ ...PLAIN, path: file, format: 'raw' });
    truncateSync(file, SIZE_BYTES / 2);
    const image = attachImage(opened);
    assert.equal(image.sizeBytes, SIZE_BYTES);
    image.close();
  }));

describe('backing files', () => {
  it('are read only when they are allowed', () => {
    inFolder((folder) => {
      const top = chain(folder, ['top', 'base']);
      assertRefused(
        top,
        'qcow2',
        /has a backing file, "base": give the disk the option backing if you trust the image/,
      );
      openDisk(top, 'qcow2', { backing: 'beside' }).close();
    });
  });

  it('that are missing, loop or are too many are named', () => {
    inFolder((folder) => {
      makeQcow2(path.join(folder, 'lonely'), { name: 'gone', format: 'raw' });
      assertRefused(
        path.join(folder, 'lonely'),
        'qcow2',
        /^the backing file of ".*lonely": cannot open .*gone": no such file .*; check the path$/,
        'beside',
      );
      chain(folder, ['a', 'b', 'a']);
      assertRefused(path.join(folder, 'a'), 'qcow2', /\/b": ".*\/a" is in the chain already/, 'beside');
      const many = Array.from({ length: 20 }, (_, index) => `many${index}`);
      assertRefused(chain(folder, many), 'qcow2', /has more than 16 backing files/, 'beside');
    });
  });

  it('outside the folder of the image need more trust, also by a link', () => {
    inFolder((folder) => {
      writeFileSync(path.join(folder, 'secret'), new Uint8Array(512));
      mkdirSync(path.join(folder, 'vm'));
      const image = path.join(folder, 'vm/disk');
      makeQcow2(image, { name: '../secret', format: 'raw' });
      assertRefused(image, 'qcow2', /secret" is outside the folder of the image/, 'beside');
      openDisk(image, 'qcow2', { backing: 'anywhere' }).close();
      symlinkSync('../secret', path.join(folder, 'vm/link'));
      makeQcow2(image, { name: 'link', format: 'raw' });
      assertRefused(image, 'qcow2', /outside the folder/, 'beside');
    });
  });

  it('have the format that the header says, and are files', () => {
    inFolder((folder) => {
      const image = path.join(folder, 'disk');
      makeQcow2(image, { name: 'base', format: 'vmdk' });
      assertRefused(
        image,
        'qcow2',
        /its backing file has the format "vmdk", which is not supported/,
        'beside',
      );
      makeQcow2(image, { name: 'nbd://host/x', format: 'raw' });
      assertRefused(image, 'qcow2', /its backing "nbd:\/\/host\/x" is not the name of a file/, 'beside');
      makeQcow2(image, { name: 'base', format: 'raw' });
      patch(image, 112, [0]); // the extension's type
      assertRefused(image, 'qcow2', /does not say which format its backing file has/, 'beside');
    });
  });
});

it('a raw disk may begin as any other format does', () => {
  inFolder((folder) => {
    const file = path.join(folder, 'disk');
    makeQcow2(file);
    const raw = openDisk(file, 'raw');
    const start = new Uint8Array(512);
    raw.read(0, start);
    raw.close();
    assert.deepEqual([...start.subarray(0, 4)], [0x51, 0x46, 0x49, 0xfb]);
    const fd = openSync(file, 'r');
    assert.equal(otherFormat(new HostFile({ fd, path: file, alignmentBytes: 1, isUnsafe: true })), 'qcow2');
    closeSync(fd);
  });
});

it('nothing stays open when an image is refused', () => {
  inFolder((folder) => {
    const file = path.join(folder, 'disk');
    makeQcow2(file);
    patch(file, 79, [2]);
    for (let round = 0; round < 3; round++) assert.throws(() => openDisk(file, 'qcow2'), /corrupt/);
    patch(file, 79, [0]);
    openDisk(file, 'qcow2').close(); // a descriptor that is left would hold the lock
  });
});

function assertRefused(
  file: string,
  format: 'raw' | 'qcow2',
  expected: RegExp,
  backing: BackingPolicy = 'none',
): void {
  assert.throws(
    () => openDisk(file, format, { backing }),
    (error) => {
      assert.ok(error instanceof UserError, String(error));
      assert.match(error.message, expected);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    },
  );
}

function makeQcow2(file: string, backing?: Qcow2Format['backing']): void {
  const fd = openSync(file, 'w+');
  formatQcow2(new HostFile({ fd, path: file, alignmentBytes: 1, isUnsafe: true }), {
    ...DEFAULT_FORMAT,
    clusterBytes: 4096,
    sizeBytes: SIZE_BYTES,
    backing,
  });
  closeSync(fd);
}

function patched(file: string, at: number, bytes: readonly number[]): void {
  makeQcow2(file);
  patch(file, at, bytes);
}

function patch(file: string, at: number, bytes: readonly number[]): void {
  const content = readFileSync(file);
  content.set(bytes, at);
  writeFileSync(file, content);
}

/** Each over the next; the last has none. Returns the first. */
function chain(folder: string, names: readonly string[]): string {
  names.forEach((name, index) => {
    const below = names[index + 1];
    if (names.indexOf(name) === index)
      makeQcow2(path.join(folder, name), below === undefined ? undefined : { name: below, format: 'qcow2' });
  });
  return path.join(folder, names[0] ?? '');
}
