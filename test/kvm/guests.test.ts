/** Every test guest under `vmm run`: what it prints, what the command exits with. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { EXIT_OK, guest, GUESTS, type GuestName } from '../guests/build.ts';
import { PATIENCE_MS } from '../support/deadline.ts';
import { kvmTest } from '../support/kvmTest.ts';
import { type Finished, hostEmulatesKernels, startVmm, temporaryFolder, vmm } from '../support/vmmProcess.ts';

const OK = (EXIT_OK << 1) | 1;
const TRIPLE_FAULT = 3;

/** `vmm run` of a guest, to its end, with isa-debug-exit and without reboots. */
async function run(
  t: TestContext,
  name: GuestName,
  args: readonly string[] = [],
  input = '',
): Promise<Finished> {
  const kernel = await guest(name);
  const options = { env: { XDG_RUNTIME_DIR: temporaryFolder(t) }, input };
  return vmm(
    t,
    ['run', '--kernel', kernel, '--memory', '16M', '--debug-exit', '--no-reboot', ...args],
    options,
  );
}

interface Expected {
  readonly title: string;
  readonly guest: GuestName;
  readonly args?: readonly string[];
  readonly input?: string;
  readonly stdout: string;
  readonly code: number;
}

const ENDINGS: readonly Expected[] = [
  { title: 'a guest that writes one byte and exits', guest: 'firstByte', stdout: 'F', code: OK },
  {
    title: 'a guest that writes 100 000 times to an unclaimed port',
    guest: 'portWrites',
    stdout: 'SD',
    code: OK,
  },
  {
    title: "a guest's own int3 reaches its #BP handler, which returns after it",
    guest: 'int3Self',
    stdout: 'BA',
    code: OK,
  },
  {
    title: 'a page fault outside what is mapped reaches its handler with CR2',
    guest: 'fault',
    stdout: '0E',
    code: OK,
  },
  {
    title: 'an ELF with a PVH note starts at its entry with a start_info',
    guest: 'pvh',
    stdout: 'V',
    code: OK,
  },
  { title: 'an ELF64 starts in long mode with a zero page', guest: 'linux64', stdout: 'L', code: OK },
  {
    title: 'a boot sector starts in real mode',
    guest: 'realMode16',
    args: ['--protocol', 'flat'],
    stdout: 'real\n',
    code: OK,
  },
  {
    title: 'received bytes raise COM1 interrupts and wake a halted CPU',
    guest: 'serialEcho',
    input: 'hello q',
    stdout: 'ready\nhello ',
    code: OK,
  },
  {
    title: 'what plain gcc and ld link for 1 MiB, with memory that ends below its build-id',
    guest: 'plainLink',
    stdout: 'P',
    code: OK,
  },
  { title: 'a kernel linked below 1 MiB', guest: 'linkedLow', stdout: 'L', code: OK },
  {
    title: 'what a BIOS leaves in memory, a text cursor and a retrace',
    guest: 'biosData',
    stdout: 'YYYYYYY',
    code: OK,
  },
  {
    title: "an interrupt gate with selector 0x08 and the loader's GDT",
    guest: 'bootGdt',
    stdout: 'AB',
    code: OK,
  },
  {
    title: 'a kernel that pushes before it has its own stack',
    guest: 'earlyPush',
    stdout: 'S',
    code: OK,
  },
  { title: 'fw_cfg with two CPUs', guest: 'fwCfg', args: ['--cpus', '2'], stdout: 'QEMU 2', code: OK },
  {
    title: 'a BAR that one CPU sizes and moves, and another uses and moves back',
    guest: 'pciBar',
    args: ['--cpus', '2'],
    stdout: 'SM21',
    code: OK,
  },
  { title: 'PICs that know levels from edges', guest: 'elcr', stdout: 'LE', code: OK },
  { title: 'the MP table of one CPU', guest: 'mpTable', stdout: '1 CPUs', code: OK },
  { title: 'the MP table of four', guest: 'mpTable', args: ['--cpus', '4'], stdout: '4 CPUs', code: OK },
  { title: 'one CPU finds itself alone', guest: 'smp', stdout: 'CPUS 1\n', code: (1 << 1) | 1 },
  {
    title: 'INIT and SIPI start all of two CPUs',
    guest: 'smp',
    args: ['--cpus', '2'],
    stdout: 'CPUS 2\n',
    code: (2 << 1) | 1,
  },
  {
    title: 'INIT and SIPI start all of four CPUs',
    guest: 'smp',
    args: ['--cpus', '4'],
    stdout: 'CPUS 4\n',
    code: (4 << 1) | 1,
  },
];

for (const expected of ENDINGS) {
  kvmTest(`${expected.title}: exit code ${expected.code} (${expected.guest})`, async (t) => {
    const { code, stdout, stderr } = await run(t, expected.guest, expected.args, expected.input);
    assert.deepEqual({ code, stdout, stderr }, { code: expected.code, stdout: expected.stdout, stderr: '' });
  });
}

kvmTest('a paste of 3 000 keys into the sample kernel is echoed whole and in order', async (t) => {
  const env = { XDG_RUNTIME_DIR: temporaryFolder(t) };
  const kernel = path.join(import.meta.dirname, '../../samples/hello/hello.elf');
  const process = startVmm(t, ['run', '--kernel', kernel], { env });
  await process.printed('Press h for help.');
  const keys = Array.from({ length: 3000 }, (_, i) =>
    '0123456789ABCDEFGH'.charAt((i * 7 + (i >> 4)) % 18),
  ).join('');
  process.type(keys);
  await process.printed(keys);
  process.type('q');
  assert.equal((await process.finished).code, 0);
});

kvmTest("`int` through a gate with selector 0x08 works with the loader's GDT (intGate)", async (t) => {
  if (hostEmulatesKernels())
    return t.skip("this host's KVM cannot emulate int in protected mode: see test/lab");
  const { code, stdout } = await run(t, 'intGate');
  assert.deepEqual({ code, stdout }, { code: OK, stdout: 'AB' });
});

kvmTest('a multiboot module gets the arguments that follow its name in --initrd', async (t) => {
  const file = path.join(temporaryFolder(t), 'tools.tar');
  writeFileSync(file, '!');
  const { code, stdout, stderr } = await run(t, 'module', ['--initrd', `${file} verbose root=/tools`]);
  assert.deepEqual(
    { code, stdout, stderr },
    { code: OK, stdout: 'tools.tar verbose root=/tools!', stderr: '' },
  );
});

kvmTest('an initrd whose name has a space is that file', async (t) => {
  const file = path.join(temporaryFolder(t), 'tools v2');
  writeFileSync(file, '!');
  assert.equal((await run(t, 'module', ['--initrd', file])).stdout, 'tools v2!');
});

/** Guests that QEMU runs too: its answer is the right one. */
const BESIDE_QEMU: readonly Expected[] = ENDINGS.filter(({ guest: name }) =>
  ['plainLink', 'linkedLow', 'biosData', 'bootGdt', 'earlyPush', 'fwCfg', 'mpTable'].includes(name),
);

for (const { title, guest: name, args = [], stdout, code } of BESIDE_QEMU) {
  test(`QEMU says the same of ${title} (${name})`, async (t) => {
    const kernel = await guest(name);
    const options = ['-display', 'none', '-monitor', 'none', '-no-reboot', '-serial', 'stdio'];
    const exit = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04'];
    const cpus = args[0] === '--cpus' ? args[1] : '1';
    const smp = ['-smp', `${cpus},sockets=${cpus}`]; // its MP table has one entry per socket
    const qemu = spawnSync('qemu-system-x86_64', ['-kernel', kernel, ...options, ...exit, ...smp], {
      encoding: 'latin1',
      input: '',
      timeout: PATIENCE_MS,
    });
    if (qemu.error !== undefined && 'code' in qemu.error && qemu.error.code === 'ENOENT') {
      return t.skip('qemu-system-x86_64 is not installed');
    }
    assert.deepEqual({ code: qemu.status, stdout: qemu.stdout }, { code, stdout }, qemu.stderr);
  });
}

kvmTest('an ACPI power-off ends silently with exit code 0', async (t) => {
  const { code, stdout, stderr } = await run(t, 'powerOff');
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'P', stderr: '' });
});

for (const [name, by] of [
  ['resetCf9', 'reset-control'],
  ['resetI8042', 'i8042'],
] as const) {
  kvmTest(`with --no-reboot a reset ends the VM with exit code 0 and says by what (${name})`, async (t) => {
    const { code, stdout, stderr } = await run(t, name);
    assert.deepEqual(
      { code, stdout, stderr },
      { code: 0, stdout: 'R', stderr: `vmm: the guest reset the machine (${by})\n` },
    );
  });

  kvmTest(
    `without --no-reboot the guest starts again after a reset, as often as it resets (${name})`,
    async (t) => {
      const kernel = await guest(name);
      const env = { XDG_RUNTIME_DIR: temporaryFolder(t) };
      const process = startVmm(t, ['run', '--kernel', kernel, '--memory', '16M'], { env });
      await process.printed('RRRRR');
      process.kill('SIGTERM');
      const { code, signal } = await process.finished;
      assert.deepEqual({ code, signal }, { code: 1, signal: null });
    },
  );
}

kvmTest('a reset leaves nothing of what the guest set in its CPU: PAT, MTRRs, debug registers', async (t) => {
  const kernel = await guest('resetState');
  const env = { XDG_RUNTIME_DIR: temporaryFolder(t) };
  const process = startVmm(t, ['run', '--kernel', kernel, '--memory', '16M', '--debug-exit'], { env });
  await Promise.race([process.printed('NNN'), process.finished]);
  process.kill('SIGTERM');
  const { code, stdout } = await process.finished;
  assert.deepEqual({ code, start: stdout.slice(0, 3) }, { code: 1, start: 'NNN' });
});

kvmTest('a triple fault ends with exit code 3, a sentence, the registers and the code', async (t) => {
  const { code, stdout, stderr } = await run(t, 'tripleFault');
  assert.deepEqual({ code, stdout }, { code: TRIPLE_FAULT, stdout: 'T' });
  assert.match(
    stderr,
    /^vmm: the guest triple faulted on vCPU 0 at 0x10001f: .* look at its IDT and stack$/m,
  );
  assert.match(stderr, /^vCPU 0, protected32, CPL 0$/m);
  assert.match(stderr, /\brax=000000000000fff8\b/);
  assert.match(stderr, /^code at 0x10001f: 8e d8 /m); // mov %eax, %ds
});

kvmTest('an undefined opcode without an IDT is a triple fault with the registers and the code', async (t) => {
  const { code, stdout, stderr } = await run(t, 'unknownOpcode');
  assert.deepEqual({ code, stdout }, { code: TRIPLE_FAULT, stdout: 'U' });
  assert.match(stderr, /\brbx=0000000012345678\b/);
  assert.match(stderr, /^code at 0x[0-9a-f]+: 0f 0b /m); // ud2
});

kvmTest('a guest that runs where it has no memory ends with a sentence and the registers', async (t) => {
  const { code, stdout, stderr } = await run(t, 'wildJump');
  assert.deepEqual({ code, stdout }, { code: 1, stdout: 'J' });
  assert.match(stderr, /^vmm: the guest runs at 0xdead0000, where it has no memory: /m);
  assert.match(stderr, /\brax=00000000dead0000\b/);
});

kvmTest('a guest that never exits ends at SIGTERM and at SIGINT (spin)', async (t) => {
  const kernel = await guest('spin');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const env = { XDG_RUNTIME_DIR: temporaryFolder(t) };
    const process = startVmm(t, ['run', '--kernel', kernel], { env });
    await process.printed('S');
    process.kill(signal);
    const finished = await process.finished;
    assert.deepEqual({ code: finished.code, signal: finished.signal }, { code: 1, signal: null });
  }
});

kvmTest('without --debug-exit port 0xf4 is unclaimed (firstByte runs on into its hlt)', async (t) => {
  const kernel = await guest('firstByte');
  const env = { XDG_RUNTIME_DIR: temporaryFolder(t) };
  const process = startVmm(t, ['run', '--kernel', kernel], { env });
  await process.printed('F');
  process.kill('SIGTERM');
  assert.equal((await process.finished).code, 1);
});

kvmTest('serial output goes to a file when told to', async (t) => {
  const folder = temporaryFolder(t);
  const log = path.join(folder, 'com1.log');
  const { code, stdout } = await run(t, 'portWrites', ['--serial', `file:${log}`]);
  assert.deepEqual({ code, stdout, log: readFileSync(log, 'latin1') }, { code: OK, stdout: '', log: 'SD' });
});

test('every guest of test/guests is run by a test here or in a file next to this one', () => {
  const tests = readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => readFileSync(path.join(import.meta.dirname, file), 'utf8'))
    .join('\n');
  const missing = Object.keys(GUESTS).filter((name) => !tests.includes(`'${name}'`));
  assert.deepEqual(missing, []);
});
