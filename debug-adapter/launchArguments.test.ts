import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changedVmKeys, parseAttachArguments, parseLaunchArguments } from './launchArguments.ts';

const KERNEL = { kernel: '/k/kernel.elf' };

test('a launch needs only a kernel', () => {
  const args = parseLaunchArguments(KERNEL);
  assert.equal(args.config.kernel, '/k/kernel.elf');
  assert.equal(args.stopOnEntry, false);
  assert.equal(args.breakpointMode, 'auto');
  assert.deepEqual(args.symbolFiles, [{ path: '/k/kernel.elf', offset: 0n }]);
});

test('relative paths are relative to cwd', () => {
  const args = parseLaunchArguments({
    kernel: 'build/kernel.elf',
    initrd: 'initrd.img',
    cwd: '/home/me',
    serial: { com2: 'file:log.txt' },
    symbolFiles: ['mod.elf', { path: 'user.elf', offset: '0x400000' }, { path: '/abs', offset: -16 }],
    sourceMap: { '/build': 'src' },
  });
  assert.equal(args.config.kernel, '/home/me/build/kernel.elf');
  assert.equal(args.config.initrd, '/home/me/initrd.img');
  assert.deepEqual(args.config.serial[1], { kind: 'file', path: '/home/me/log.txt' });
  assert.deepEqual(args.symbolFiles.slice(1), [
    { path: '/home/me/mod.elf', offset: 0n },
    { path: '/home/me/user.elf', offset: 0x400000n },
    { path: '/abs', offset: -16n },
  ]);
  assert.deepEqual(args.sourceMap, { '/build': '/home/me/src' });
});

test('keys of the editor and of the extension are ignored', () => {
  parseLaunchArguments({
    ...KERNEL,
    type: 'vmm',
    request: 'launch',
    preLaunchTask: 'make',
    __sessionId: '1',
    __restart: {},
  });
  assert.equal(parseLaunchArguments({ ...KERNEL, __coreSocket: '/run/x.sock' }).coreSocket, '/run/x.sock');
});

test('every wrong key is named with what is accepted', () => {
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{}, /"kernel" is required/],
    [{ kernel: 3 }, /"kernel" must be a string, not 3/],
    [{ ...KERNEL, memory: '12 apples' }, /"memory" must be a size such as "512M"/],
    [{ ...KERNEL, stopOnEntry: 'yes' }, /"stopOnEntry" must be true or false, not "yes"/],
    [
      { ...KERNEL, symbolFiles: 'x' },
      /"symbolFiles" must be a list of paths or of \{ "path", "offset", "addressSpace" \}, not "x"/,
    ],
    [{ ...KERNEL, symbolFiles: [7] }, /"symbolFiles\[0\]" must be a path or/],
    [
      { ...KERNEL, symbolFiles: [{ path: 'x', offset: 'far' }] },
      /"symbolFiles\[0\]\.offset" must be a number of bytes/,
    ],
    [
      { ...KERNEL, symbolFiles: [{ path: 'x', slide: 1 }] },
      /"symbolFiles\[0\]\.slide" is not a known setting; known are path, offset, addressSpace/,
    ],
    [
      { ...KERNEL, symbolFiles: [{ path: 'x', addressSpace: -4096 }] },
      /"symbolFiles\[0\]\.addressSpace" must be what CR3 holds while the file is mapped/,
    ],
    [{ ...KERNEL, sourceMap: [] }, /"sourceMap" must be an object such as/],
    [{ ...KERNEL, sourceMap: { '/a': 1 } }, /"sourceMap\.\/a" must be the path of a folder, not 1/],
    [{ ...KERNEL, breakpointMode: 'none' }, /"breakpointMode" must be one of auto, hw, sw, not "none"/],
    [
      { ...KERNEL, stepInterupts: true },
      /"stepInterupts" is not a known setting; did you mean "stepInterrupts"\?/,
    ],
  ];
  for (const [input, message] of wrong) assert.throws(() => parseLaunchArguments({ ...input }), message);
});

test('attach names the VM by vm or socket; the name of the configuration is one too', () => {
  assert.equal(parseAttachArguments({ vm: 'alpine', name: 'Attach to my VM' }).vm, 'alpine');
  assert.equal(parseAttachArguments({ socket: 'x.sock', cwd: '/run' }).vm, '/run/x.sock');
  assert.deepEqual(
    [{ name: 'alpine' }, { name: 'alpine', vm: '' }].map((it) => parseAttachArguments(it).vm),
    [undefined, undefined],
  );
  assert.equal(parseAttachArguments({ name: 'alpine' }).name, 'alpine');
  assert.throws(() => parseAttachArguments({ vm: 5 }), /"vm" must be a string, not 5/);
  assert.throws(
    () => parseAttachArguments({ memory: '1G' }),
    /"memory" is not a known setting; attach knows name, vm,/,
  );
});

test('changedVmKeys names what a restart cannot change', () => {
  const before = parseLaunchArguments({ ...KERNEL, initrd: '/i' }).config;
  const after = parseLaunchArguments({ ...KERNEL, memory: '1G', cmdline: 'quiet', name: 'other' }).config;
  assert.deepEqual(changedVmKeys(before, after).sort(), ['cmdline', 'initrd', 'memoryBytes']);
  assert.deepEqual(changedVmKeys(before, before), []);
});
