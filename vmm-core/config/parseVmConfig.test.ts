import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../test/support/bytes.ts';
import { nearest } from './nearest.ts';
import { parseVmConfig, VM_KEYS } from './parseVmConfig.ts';
import { parseSerialBackend } from './serialBackend.ts';
import { formatSize, parseSize } from './size.ts';
import { BOOT_PROTOCOLS } from './settings/boot.ts';
import { MAX_CPUS } from './settings/hardware.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** The problems as users read them. */
function problems(input: Readonly<Record<string, unknown>>, otherKeys: readonly string[] = []): string[] {
  const parsed = parseVmConfig(input, otherKeys);
  assert.equal(parsed.config === undefined, parsed.problems.length > 0, 'a config, or problems');
  return parsed.problems.map(({ key, message }) => `${key} ${message}`);
}

/** The one problem of an otherwise good configuration. */
function problem(input: Readonly<Record<string, unknown>>): string {
  const all = problems({ kernel: 'k', ...input });
  assert.equal(all.length, 1, all.join('\n'));
  return all[0] ?? '';
}

test('only a kernel is required, the rest has defaults', () => {
  assert.deepEqual(parseVmConfig({ kernel: '/boot/vmlinuz' }), {
    problems: [],
    config: {
      name: 'vmlinuz',
      kernel: '/boot/vmlinuz',
      cmdline: '',
      protocol: 'auto',
      memoryBytes: 256 * MIB,
      cpus: 1,
      serial: [{ kind: 'client' }, { kind: 'null' }, { kind: 'null' }, { kind: 'null' }],
      debugExit: false,
      onReset: 'reboot',
    },
  });
});

test('every key is taken over', () => {
  const { config } = parseVmConfig({
    name: 'demo',
    kernel: 'k.elf',
    initrd: 'i.img',
    cmdline: 'console=ttyS0 quiet',
    protocol: 'pvh',
    memory: '1G',
    cpus: 4,
    serial: { com1: 'stdio', com2: 'file:/tmp/log', com4: 'terminal' },
    debugExit: true,
    onReset: 'exit',
  });
  assert.deepEqual(config, {
    name: 'demo',
    kernel: 'k.elf',
    initrd: 'i.img',
    cmdline: 'console=ttyS0 quiet',
    protocol: 'pvh',
    memoryBytes: GIB,
    cpus: 4,
    serial: [{ kind: 'stdio' }, { kind: 'file', path: '/tmp/log' }, { kind: 'null' }, { kind: 'client' }],
    debugExit: true,
    onReset: 'exit',
  });
});

test('null and undefined count as absent, for the kernel too', () => {
  const nothing = Object.fromEntries(VM_KEYS.map((key) => [key, null]));
  assert.deepEqual(problems({ ...nothing, kernel: 'k' }), []);
  const required = ['kernel is required: the path of the kernel image to boot'];
  for (const kernel of [null, undefined, '']) assert.deepEqual(problems({ kernel }), required);
  assert.deepEqual(problems({}), required);
});

test('sizes have units of 1024, without one they are MiB', () => {
  const sizes: readonly (readonly [string | number, number | undefined])[] = [
    ['512M', 512 * MIB],
    ['512m', 512 * MIB],
    ['512MiB', 512 * MIB],
    ['512 MB', 512 * MIB],
    ['2G', 2 * GIB],
    ['1.5G', 1.5 * GIB],
    ['4096K', 4 * MIB],
    ['1T', 1024 * GIB],
    ['64', 64 * MIB],
    [64, 64 * MIB],
    [0.5, 512 * KIB],
    [' 1G ', GIB],
    ['', undefined],
    ['G', undefined],
    ['-1G', undefined],
    ['1X', undefined],
    ['1GG', undefined],
    ['1e3', undefined],
    ['0x10M', undefined],
    [NaN, undefined],
    [Infinity, undefined],
  ];
  for (const [written, bytes] of sizes) assert.equal(parseSize(written), bytes, String(written));
});

test('memory is a size of at least 1 MiB, in whole pages', () => {
  const form = 'must be a size such as "512M" or "2G", or a number of MiB, not';
  assert.equal(problem({ memory: 'lots' }), `memory ${form} "lots"`);
  assert.equal(problem({ memory: true }), `memory ${form} true`);
  assert.equal(problem({ memory: [512] }), `memory ${form} a list`);
  assert.equal(problem({ memory: {} }), `memory ${form} an object`);
  assert.equal(problem({ memory: 0 }), 'memory must be at least 1 MiB, not 0');
  assert.equal(problem({ memory: -5 }), 'memory must be at least 1 MiB, not -5');
  assert.equal(problem({ memory: '512K' }), 'memory must be at least 1 MiB, not "512K"');
  assert.equal(parseVmConfig({ kernel: 'k', memory: '1025.5K' }).config?.memoryBytes, MIB);
});

test('cpus is a whole number from 1 on', () => {
  const form = `cpus must be a whole number from 1 to ${MAX_CPUS}, not`;
  for (const cpus of [0, -1, 1.5, MAX_CPUS + 1]) assert.equal(problem({ cpus }), `${form} ${cpus}`);
  assert.equal(problem({ cpus: '2' }), `${form} "2"`);
  assert.equal(parseVmConfig({ kernel: 'k', cpus: MAX_CPUS }).config?.cpus, MAX_CPUS);
});

test('a wrong type is named with what was given', () => {
  assert.equal(problem({ kernel: 5 }), 'kernel must be a string, not 5');
  assert.equal(problem({ cmdline: ['a'] }), 'cmdline must be a string, not a list');
  assert.equal(problem({ initrd: {} }), 'initrd must be a string, not an object');
  assert.equal(problem({ debugExit: 'true' }), 'debugExit must be true or false, not "true"');
  assert.equal(problem({ onReset: 'halt' }), 'onReset must be one of reboot, exit, not "halt"');
  assert.equal(
    problem({ protocol: 'efi' }),
    `protocol must be one of ${BOOT_PROTOCOLS.join(', ')}, not "efi"`,
  );
  assert.equal(problem({ cmdline: 'a\0b' }), 'cmdline must not contain a NUL character');
});

test('serial ports are named com1 to com4 and go to one of four places', () => {
  const forms = '"terminal", "file:PATH", "null" or "stdio"';
  assert.equal(problem({ serial: { com1: 'telnet' } }), `serial.com1 must be ${forms}, not "telnet"`);
  assert.equal(problem({ serial: { com2: 'file:' } }), `serial.com2 must be ${forms}, not "file:"`);
  assert.equal(problem({ serial: { com3: 7 } }), `serial.com3 must be ${forms}, not 7`);
  assert.equal(
    problem({ serial: { com11: 'null' } }),
    'serial.com11 is not a known setting; did you mean "com1"?',
  );
  assert.equal(
    problem({ serial: 'stdio' }),
    'serial must be an object such as { "com1": "terminal" }, not "stdio"',
  );
  assert.equal(
    problem({ serial: [] }),
    'serial must be an object such as { "com1": "terminal" }, not a list',
  );
  assert.deepEqual(parseSerialBackend('file:a b'), { kind: 'file', path: 'a b' });
  assert.deepEqual(parseSerialBackend('none'), { kind: 'null' });
});

test('an unknown key is refused, with the known one that it resembles', () => {
  assert.equal(problem({ kernal: 'x' }), 'kernal is not a known setting; did you mean "kernel"?');
  assert.equal(problem({ memroy: 1 }), 'memroy is not a known setting; did you mean "memory"?');
  assert.equal(problem({ CPUS: 1 }), 'CPUS is not a known setting; did you mean "cpus"?');
  assert.match(
    String(problem({ frobnicate: 1 })),
    /^frobnicate is not a known setting; known are name, kernel, initrd, /,
  );
  assert.deepEqual(problems({ kernel: 'k', stopOnEntry: true }, ['stopOnEntry']), []);
});

test('the nearest word is at most two edits away, and never the whole of a short word', () => {
  assert.equal(nearest('protocl', VM_KEYS), 'protocol');
  assert.equal(nearest('x', VM_KEYS), undefined);
  assert.equal(nearest('', VM_KEYS), undefined);
  assert.equal(nearest('zzzzzz', VM_KEYS), undefined);
});

test('a name that cannot name a socket is turned into one that can', () => {
  const name = (input: object): string | undefined =>
    parseVmConfig({ kernel: '/x/my kernel.elf', ...input }).config?.name;
  assert.equal(name({}), 'my-kernel.elf');
  assert.equal(name({ name: 'Debug my kernel!' }), 'Debug-my-kernel-');
  assert.equal(name({ name: '../../etc' }), 'etc');
  assert.equal(name({ name: '...' }), 'my-kernel.elf');
  assert.equal(name({ name: 'x'.repeat(200) })?.length, 64);
  assert.equal(parseVmConfig({ kernel: '日本' }).config?.name, 'vm');
});

test('sizes are shown in the unit people use', () => {
  assert.deepEqual([256 * MIB, GIB, 1.5 * GIB, 512 * KIB, 1, 0].map(formatSize), [
    '256 MiB',
    '1 GiB',
    '1.5 GiB',
    '512 KiB',
    '1 KiB',
    '0 KiB',
  ]);
});

test('all problems are reported at once', () => {
  assert.equal(problems({ cpus: 0, memory: 0, nonsense: 1, debugExit: 1 }).length, 5); // and no kernel
});

test('any input gives a config or problems and never throws; a config has whole pages and a usable name (seeded)', () => {
  const random = seededRandom(0xc0f1);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const values: readonly unknown[] = [
    ...[
      null,
      undefined,
      true,
      false,
      0,
      -1,
      1,
      2,
      64,
      65,
      1e300,
      NaN,
      Infinity,
      0.1,
      10n,
      Symbol('s'),
      () => 0,
    ],
    ...['', 'a', 'pvh', '1G', '1e9', '\0', '💥', 'file:', 'file:x', 'stdio', 'x'.repeat(500), '../..', '-5'],
    ...[
      [],
      {},
      [1],
      { com1: 'null' },
      { com1: 3 },
      { com9: 'null' },
      { com1: Symbol('s') },
      { com2: 5n },
      new Date(0),
    ],
  ];
  const keys = [...VM_KEYS, 'kernal', '', '__proto__', 'constructor', 'toString', 'x'];
  for (let i = 0; i < 5000; i++) {
    const input = Object.fromEntries(
      Array.from({ length: Math.floor(random() * 8) }, () => [pick(keys), pick(values)]),
    );
    const { config, problems: found } = parseVmConfig(input);
    for (const { key, message } of found) assert.ok(typeof key === 'string' && message.length > 0);
    if (config === undefined) continue;
    assert.match(config.name, /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
    assert.equal(config.memoryBytes % 4096, 0);
    assert.equal(config.serial.length, 4);
    assert.notEqual(config.kernel, '');
  }
});
