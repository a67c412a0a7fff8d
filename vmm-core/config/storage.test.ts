import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkVmConfig, parseVmConfig } from './parseVmConfig.ts';
import { printRows } from './rows.ts';
import { SETTINGS } from './settings.ts';
import { disks as row } from './settings/storage.ts';
import { diskFromFlag, formatOf } from './settings/diskOptions.ts';

const MIB = 2 ** 20;

function parse(disks: unknown, cdrom?: string): ReturnType<typeof parseVmConfig> {
  return parseVmConfig({ kernel: 'k', disks, cdrom });
}

/** The one problem, as users read it. */
function problem(disks: unknown, cdrom?: string): string {
  const { problems } = parse(disks, cdrom);
  assert.equal(problems.length, 1, problems.map((it) => it.message).join('\n'));
  return problems.map(({ key, message }) => `${key} ${message}`).join();
}

describe('disks in launch.json', () => {
  it('are paths, or objects with options', () => {
    const { config } = parse([
      'root.qcow2',
      { path: 'data.img', format: 'raw', readonly: true, cache: 'none', discard: false, bandwidth: '10M' },
      { path: '/dev/sdb', serial: 'WD-1', iothread: true, transport: 'mmio', iops: 100, snapshot: true },
    ]);
    assert.deepEqual(config?.disks, [
      { path: 'root.qcow2' },
      {
        path: 'data.img',
        format: 'raw',
        readonly: true,
        cache: 'none',
        discard: false,
        bandwidth: 10 * MIB,
      },
      { path: '/dev/sdb', snapshot: true, serial: 'WD-1', iothread: true, transport: 'mmio', iops: 100 },
    ]);
  });

  it('are written as they are read, and the same for a client', () => {
    const given = ['a.img', { path: 'b', cache: 'unsafe', bandwidth: 2.5, backing: 'anywhere' }];
    const { config } = parse(given);
    assert.ok(config !== undefined);
    assert.deepEqual(printRows(SETTINGS, config)['disks'], given);
    assert.deepEqual(checkVmConfig({ ...config }).config, config);
  });

  it('have no options that we do not know, and no other values', () => {
    assert.equal(problem('a.img'), 'disks must be a list of disks, not "a.img"');
    assert.match(problem([7]), /^disks\[0\] must be a path or an object such as .*, not 7$/);
    assert.equal(problem([{}]), 'disks[0].path is required: the image, or a block device');
    assert.equal(problem(['a', '']), 'disks[1].path is required: the image, or a block device');
    assert.match(problem([{ path: 'a', readOnly: true }]), /did you mean "readonly"\?$/);
    assert.match(problem([{ path: 'a', format: 'vmdk' }]), /must be one of raw, qcow2, not "vmdk"$/);
    assert.match(problem([{ path: 'a', cache: 'writethrough' }]), /one of writeback, none, unsafe, not/);
    assert.match(problem([{ path: 'a', serial: 'x'.repeat(21) }]), /at most 20 ASCII characters/);
    assert.match(problem([{ path: 'a', iops: 0 }]), /^disks\[0\]\.iops must be a whole number from 1 /);
    assert.match(problem([{ path: 'a', bandwidth: 'fast' }]), /must be a size such as "100M", a second/);
    assert.match(problem([{ path: 'a', bandwidth: '1K' }]), /must be at least 4 KiB a second, not "1K"$/);
  });

  it('are at most 26, and a CD-ROM', () => {
    const names = Array.from({ length: 26 }, (_, i) => `${i}.img`);
    assert.equal(parse(names, 'x.iso').config?.disks?.length, 26);
    assert.equal(problem([...names, 'x.img']), 'disks allows at most 26 disks: there are 27');
  });

  it('share a file only when nobody writes it', () => {
    const readonly = { path: 'a.img', readonly: true };
    assert.match(problem(['a.img', 'b.img', 'a.img']), /^disks names "a\.img" twice/);
    assert.match(problem([readonly, 'a.img']), /^disks names "a\.img" twice/);
    assert.match(problem(['a.img'], 'a.img'), /^disks names "a\.img" twice/);
    assert.deepEqual(parse([readonly, readonly, { path: 'a.img', snapshot: true }], 'a.img').problems, []);
  });

  it('have the format of their name unless it is given', () => {
    const cases = { 'a.qcow2': 'qcow2', 'A.QCOW2': 'qcow2', 'a.img': 'raw', qcow2: 'raw', '/dev/sda': 'raw' };
    for (const [path, format] of Object.entries(cases)) assert.equal(formatOf({ path }), format, path);
    assert.equal(formatOf({ path: 'a.qcow2', format: 'raw' }), 'raw');
  });
});

describe('--disk', () => {
  const refuse = (sentence: string): never => {
    throw new Error(sentence);
  };

  it('is a path and options', () => {
    assert.deepEqual(diskFromFlag('a.img', refuse), { path: 'a.img' });
    assert.deepEqual(diskFromFlag('a.img,backing', refuse), { path: 'a.img', backing: 'beside' });
    assert.deepEqual(
      diskFromFlag('a,,b.img,format=raw,ro,iops=10,discard=off,iothread=true,serial=a,,b', refuse),
      {
        path: 'a,b.img',
        format: 'raw',
        readonly: true,
        iops: 10,
        discard: false,
        iothread: true,
        serial: 'a,b',
      },
    );
  });

  it('may be given several times', () => {
    assert.deepEqual(row.flag.read(['a', 'b,ro'], refuse), [{ path: 'a' }, { path: 'b', readonly: true }]);
    assert.equal(row.flag.read([], refuse), undefined);
  });

  it('is refused in one sentence that names what was given', () => {
    const cases = {
      'a,cache=fast': '--disk a,cache=fast: cache must be one of writeback, none, unsafe, not "fast"',
      'a,iops=x': '--disk a,iops=x: iops must be a whole number from 1 to 10000000, not "x"',
      'a,readonly=maybe': '--disk a,readonly=maybe: readonly must be true or false, not "maybe"',
      'a,ro,readonly=off': '--disk a,ro,readonly=off: readonly is given more than once',
      'a,ro,': '--disk a,ro,: an option is empty; a comma in a value is written twice',
      ',ro': '--disk ,ro: path is required: the image, or a block device',
    };
    for (const [given, message] of Object.entries(cases))
      assert.throws(() => row.flag.read([given], refuse), { message });
    assert.throws(() => row.flag.read(['a,rw'], refuse), /^Error: --disk a,rw: rw is not a known setting/);
  });
});
