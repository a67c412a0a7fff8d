/** What users get wrong, and the one line they see (the exit code is 1). */
import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { totalmem, tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { messageStream } from '../../vmm-core/client/messageStream.ts';
import { ConnectError, connectVmm } from '../../vmm-core/client/vmmClient.ts';
import { formatSize } from '../../vmm-core/config/size.ts';
import { ErrorCode } from '../../vmm-core/protocol/errors.ts';
import { initialize } from '../../vmm-core/protocol/vm.ts';
import { guest } from '../guests/build.ts';
import { within } from '../support/deadline.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { startCore, vmConfig } from '../support/liveVm.ts';
import { temporaryFolder, vmm, VMM } from '../support/vmmProcess.ts';

const NOBODY = 65534;
const UNKNOWN_USER = 1_234_567;

/** `vmm …` in a folder of its own must end with exit code 1 and that one line. */
async function refused(
  t: TestContext,
  args: readonly string[],
  message: string | RegExp,
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
    readonly uid?: number;
    readonly gid?: number;
  } = {},
): Promise<void> {
  const env = { XDG_RUNTIME_DIR: temporaryFolder(t), ...options.env };
  const { code, stdout, stderr } = await vmm(t, args, { ...options, env });
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' }, stderr);
  assert.equal(stderr.split('\n').length, 2, `one line, not:\n${stderr}`);
  if (typeof message === 'string') assert.equal(stderr, `vmm: ${message}\n`);
  else assert.match(stderr, message);
}

/** A folder with images that cannot be booted. */
async function badImages(t: TestContext): Promise<string> {
  const folder = temporaryFolder(t);
  const file = (name: string, contents: Uint8Array): void => writeFileSync(path.join(folder, name), contents);
  file('empty', new Uint8Array());
  copyFileSync(await guest('linux64'), path.join(folder, 'good'));
  copyFileSync(await guest('linux64'), path.join(folder, 'truncated'));
  truncateSync(path.join(folder, 'truncated'), 100);
  const arm = Buffer.alloc(4096);
  arm.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELF64, little-endian
  arm.writeUInt16LE(2, 16); // ET_EXEC
  arm.writeUInt16LE(183, 18); // EM_AARCH64
  arm.writeUInt32LE(1, 20);
  file('arm', arm);
  file('text', Buffer.from('this is no kernel\n'.repeat(600)));
  file('big', new Uint8Array());
  truncateSync(path.join(folder, 'big'), 20 * 2 ** 20);
  mkdirSync(path.join(folder, 'folder'));
  return folder;
}

const IMAGES: readonly (readonly [title: string, args: readonly string[], message: string])[] = [
  [
    'a kernel that is not there',
    ['--kernel', 'missing'],
    'cannot open the kernel missing: there is no such file; check the path, or build it first',
  ],
  [
    'a kernel that is a folder',
    ['--kernel', 'folder'],
    'the kernel folder is not a file: give the path of an image',
  ],
  ['an empty kernel', ['--kernel', 'empty'], 'kernel image empty is empty: build it again'],
  [
    'a kernel of another architecture',
    ['--kernel', 'arm'],
    'kernel image arm is built for AArch64, this VM is x86-64: build it for x86-64',
  ],
  [
    'a kernel of an unknown kind',
    ['--kernel', 'text'],
    'kernel image text is of an unknown kind (no bzImage header, ELF header or multiboot header in its first 8 KiB): give another file, or set protocol to "flat" if it is raw code',
  ],
  [
    'a kernel larger than memory',
    ['--kernel', 'big', '--protocol', 'flat', '--memory', '16M'],
    'kernel image big needs 21 MiB of guest memory, the VM has 16 MiB: raise memory',
  ],
  [
    'an initrd that does not fit next to the kernel',
    ['--kernel', 'good', '--initrd', 'big', '--memory', '16M'],
    'initrd big beside the kernel needs 22 MiB of guest memory, the VM has 16 MiB: raise memory',
  ],
  [
    'an initrd that is not there',
    ['--kernel', 'good', '--initrd', 'missing'],
    'cannot open the initrd missing: there is no such file; check the path, or build it first',
  ],
  ['no kernel at all', [], '--kernel is required: the path of the kernel image to boot'],
];

for (const [title, args, message] of IMAGES) {
  kvmTest(`${title} is refused with one clear line`, async (t) => {
    await refused(t, ['run', ...args], message, { cwd: await badImages(t) });
  });
}

kvmTest(
  "a process that may not reserve a VM's address space says so, whichever part finds out",
  async (t) => {
    const kernel = await guest('firstByte');
    const folder = temporaryFolder(t);
    // A WebAssembly.Memory takes some 10 GiB of address space: the first limit is too small for any, the
    // second for guest RAM.
    for (const [limitKib, what] of [
      [4_000_000, 'address space for vCPUs: raise'],
      [16_000_000, '3 GiB: ask for less, or raise'],
    ] as const) {
      const script = `ulimit -v ${limitKib} && exec "$@"`;
      const args = [process.execPath, VMM, 'run', '--kernel', kernel, '--memory', '3G'];
      const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', ...args], {
        encoding: 'utf8',
        env: { ...process.env, XDG_RUNTIME_DIR: folder },
        input: '',
      });
      assert.equal(status, 1, stderr);
      assert.match(
        stderr,
        new RegExp(`^vmm: \\w+: this process cannot reserve ${what} [^\\n]*ulimit -v[^\\n]*\\n$`),
      );
    }
  },
);

kvmTest('a warm core whose process may not have a VM still waits, and says why there is none', async (t) => {
  const env = { ...process.env, XDG_RUNTIME_DIR: temporaryFolder(t) };
  const args = ['-c', 'ulimit -v 2000000 && exec "$@"', 'sh', process.execPath, VMM, 'serve'];
  const { status, stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8', env, input: '' });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^\{"socket":/);
  assert.match(stderr, /"level":"warn".*this process cannot reserve address space/);
});

kvmTest('a core with too few descriptors says so, wherever it runs out of them', async (t) => {
  const env = { ...process.env, XDG_RUNTIME_DIR: temporaryFolder(t) };
  const sentences =
    /^(vmm: cannot [^\n]*EMFILE[^\n]*\n|(\{"socket":[^\n]*\n)?(\{"time":[^\n]*"warn"[^\n]*EMFILE[^\n]*\n)?)$/;
  // Below 19 node itself cannot load a program.
  for (const limit of [19, 20, 21, 22, 23]) {
    const args = ['-c', `ulimit -n ${limit} && exec "$@" 2>&1`, 'sh', process.execPath, VMM, 'serve'];
    const { status, stdout } = spawnSync('sh', args, { encoding: 'utf8', env, input: '' });
    if (!stdout.includes('node:')) assert.match(stdout, sentences);
    assert.ok(status === 0 || status === 1, stdout);
  }
});

kvmTest('a user missing from /etc/passwd, as in containers, has running VMs too', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can start a process as another user');
  const options = {
    env: { XDG_RUNTIME_DIR: '', TMPDIR: temporaryFolder(t) },
    uid: UNKNOWN_USER,
    gid: NOBODY,
  };
  chmodSync(options.env.TMPDIR, 0o1777);
  const { code, stdout, stderr } = await vmm(t, ['status', '--json'], options);
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '[]\n', stderr: '' });
});

kvmTest('a truncated kernel is refused with the place where it breaks off', async (t) => {
  const message =
    /^vmm: kernel image truncated is damaged or cut short \(.* \(100 bytes\).*\): build or copy it again$/m;
  await refused(t, ['run', '--kernel', 'truncated'], message, { cwd: await badImages(t) });
});

const FLAGS: readonly (readonly [args: readonly string[], message: string])[] = [
  [['--memory', '0'], '--memory must be at least 1 MiB, not "0"'],
  [
    ['--memory', '1000'.repeat(3)],
    `memory: ${formatSize(1000_1000_1000 * 2 ** 20)} is more than this host has (${formatSize(totalmem())}): ask for less`,
  ],
  [['--memory=-512M'], '--memory must be a size such as "512M" or "2G", or a number of MiB, not "-512M"'],
  [
    ['--memory', '-512M'],
    '--memory needs a value; one that begins with a dash is written --memory=-512M; "vmm run --help" lists them',
  ],
  [['--memory', 'lots'], '--memory must be a size such as "512M" or "2G", or a number of MiB, not "lots"'],
  [['--cpus', '0'], '--cpus must be a whole number from 1 to 64, not 0'],
  [['--cpus', '65'], '--cpus must be a whole number from 1 to 64, not 65'],
  [['--cpus', 'two'], '--cpus must be a whole number from 1 to 64, not "two"'],
  [['--cpus=-1'], '--cpus must be a whole number from 1 to 64, not -1'],
  [['--memroy', '1G'], '--memroy is not an option (did you mean --memory?); "vmm run --help" lists them'],
  [['--frobnicate'], '--frobnicate is not an option; "vmm run --help" lists them'],
  [['-z'], '-z is not an option; "vmm run --help" lists them'],
  [['--initrd'], '--initrd needs a value; "vmm run --help" lists them'],
  [['name', 'other'], '"other" is one argument too many; "vmm run --help" shows how to call it'],
  [
    ['--protocol', 'grub'],
    '--protocol must be one of auto, multiboot, linux64, bzimage, pvh, flat, not "grub"',
  ],
  [['--serial', 'telnet'], '--serial telnet is not stdio, terminal, file:PATH or null'],
];

for (const [args, message] of FLAGS) {
  kvmTest(`vmm run ${args.join(' ')} is refused with one clear line`, async (t) => {
    await refused(t, ['run', '--kernel', await guest('firstByte'), ...args], message);
  });
}

test('an unknown command is refused with a pointer to the list', async (t) => {
  await refused(t, ['rnu'], 'rnu is not a command; "vmm help" lists them');
});

kvmTest('without /dev/kvm the line says how to get it, and vmm check says the same', async (t) => {
  const env = { TRAPFRAME_KVM: path.join(temporaryFolder(t), 'kvm') };
  const cure =
    'enable virtualization (VT-x or AMD-V) in the firmware and load kvm_intel or kvm_amd (in a VM: enable nested virtualization)';
  await refused(
    t,
    ['run', '--kernel', await guest('firstByte')],
    `${env.TRAPFRAME_KVM} does not exist: ${cure}`,
    { env },
  );
  const check = await vmm(t, ['check', '--json'], { env });
  assert.equal(check.code, 1);
  const { usable, findings } = JSON.parse(check.stdout) as { usable: boolean; findings: { id: string }[] };
  assert.equal(usable, false);
  assert.deepEqual(
    findings.find(({ id }) => id === 'kvm'),
    { id: 'kvm', title: 'KVM', status: 'missing', detail: `${env.TRAPFRAME_KVM} does not exist`, cure },
  );
});

kvmTest('a device other than KVM is refused', async (t) => {
  const message = '/dev/null is not the KVM device: name the right one in TRAPFRAME_KVM';
  await refused(t, ['run', '--kernel', await guest('firstByte')], message, {
    env: { TRAPFRAME_KVM: '/dev/null' },
  });
});

kvmTest('without permission on /dev/kvm the line says how to get it', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const device = path.join(folder, 'kvm');
  writeFileSync(device, '', { mode: 0 });
  const asRoot = process.getuid?.() === 0;
  const message = `no permission to open ${device}: add yourself to its group with "sudo usermod -aG kvm $USER" and log in again`;
  await refused(t, ['run', '--kernel', await guest('firstByte')], message, {
    env: { TRAPFRAME_KVM: device, HOME: folder },
    ...(asRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  });
});

kvmTest('a client of a core without KVM is told why its VM cannot be made', async (t) => {
  const missing = path.join(temporaryFolder(t), 'kvm');
  const { client } = await startCore(t, { env: { TRAPFRAME_KVM: missing } });
  await assert.rejects(client.create(vmConfig({ kernel: await guest('firstByte') })), {
    code: 2,
    message: new RegExp(`^${missing} does not exist: enable virtualization`),
  });
});

kvmTest('a configuration that comes over the socket is checked like that of a user', async (t) => {
  const { client } = await startCore(t);
  const good = vmConfig({ kernel: await guest('firstByte') });
  const cases: readonly (readonly [object, string])[] = [
    [{ cpus: 0 }, 'cpus: must be a whole number from 1 to 64, not 0'],
    [{ memoryBytes: -1 }, 'memory: must be at least 1 MiB, not -9.5367431640625e-7'],
    [{ kernel: 7 }, 'kernel: must be a string, not 7'],
    [{ kernel: '' }, 'kernel: is required: the path of the kernel image to boot'],
    [{ onReset: 'explode' }, 'onReset: must be one of reboot, exit, not "explode"'],
    [{ debugExit: 'yes' }, 'debugExit: must be true or false, not "yes"'],
    [
      { protocol: 'grub' },
      'protocol: must be one of auto, multiboot, linux64, bzimage, pvh, flat, not "grub"',
    ],
  ];
  for (const [change, message] of cases) {
    await assert.rejects(client.create({ ...good, ...change }), { code: 1, message });
  }
  const { config } = await client.create({ ...good, name: '../../escape' });
  assert.equal(config?.name, 'escape');
});

kvmTest(
  'a client of another protocol version is told both versions, and others are still served',
  async (t) => {
    const { core, client } = await startCore(t);
    const socket = connect(core.socket);
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    const connection = messageStream(socket);
    connection.listen();
    await assert.rejects(
      connection.sendRequest(initialize, { protocolVersion: 99, client: 'test' }),
      (error: Error & { code: number }) => {
        assert.equal(error.code, ErrorCode.VersionMismatch);
        assert.match(
          error.message,
          /^this VM \(Trapframe \S+\) speaks protocol version \d+, the client 99: use the same version of Trapframe for both$/,
        );
        return true;
      },
    );
    assert.equal((await client.info()).state, 'empty');
  },
);

kvmTest('a runtime directory that others may enter is refused, one that cannot be made too', async (t) => {
  const folder = temporaryFolder(t);
  const sockets = path.join(folder, 'trapframe');
  mkdirSync(sockets, { mode: 0o755 });
  chmodSync(sockets, 0o755);
  const open = `${sockets} must be a directory that only you can enter: chmod 700 it, or set XDG_RUNTIME_DIR`;
  for (const command of ['status', 'serve'])
    await refused(t, [command], open, { env: { XDG_RUNTIME_DIR: folder } });
  const file = path.join(folder, 'file');
  writeFileSync(file, '');
  await refused(
    t,
    ['status'],
    `cannot make the directory ${file}/trapframe for control sockets (ENOTDIR): set XDG_RUNTIME_DIR to one that you can write`,
    { env: { XDG_RUNTIME_DIR: file } },
  );
});

kvmTest('a guest runs without a control socket, and its user is told that nobody can attach', async (t) => {
  const file = path.join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  const args = ['run', '--kernel', await guest('firstByte'), '--debug-exit'];
  const { code, stdout, stderr } = await vmm(t, args, { env: { XDG_RUNTIME_DIR: file } });
  assert.deepEqual({ code, stdout }, { code: 33, stdout: 'F' });
  assert.match(
    stderr,
    /^vmm: no client can attach to this VM, it has no control socket: cannot make the directory /,
  );
});

kvmTest('sockets of dead and of foreign programs: status removes the dead, skips the foreign', async (t) => {
  const folder = temporaryFolder(t);
  const sockets = path.join(folder, 'trapframe');
  mkdirSync(sockets, { mode: 0o700 });
  const foreign = createServer((socket) => socket.end('220 mail ready\r\n'));
  await new Promise<void>((resolve) => foreign.listen(path.join(sockets, 'foreign.sock'), resolve));
  t.after(() => foreign.close());
  const { code, stdout, stderr } = await vmm(t, ['status', '--json'], { env: { XDG_RUNTIME_DIR: folder } });
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '[]\n', stderr: '' });
  await assert.rejects(
    within(connectVmm(path.join(sockets, 'foreign.sock'), { client: 'test' }), 'the refusal'),
    (error: ConnectError) => error instanceof ConnectError && error.kind === 'foreign',
  );
});
