/**
 * Boots L1, a Linux with full AMD-V under QEMU's software emulation, and has it run test files that need more than the
 * machine's own /dev/kvm can do. See README.md; what goes into L1 is image.ts's, what runs in it is in inside/.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { withLock } from '../../scripts/cache.ts';
import { ensurePackages, fetchPackage } from '../../scripts/debian.ts';
import { buildImage, type LabImage } from './image.ts';
import { type LabMessage, RESULTS_PORT } from './inside/labProtocol.ts';
import { KERNEL_PACKAGE } from './payloads.ts';

/** Older emulation of AMD-V stops a guest's guest neither at breakpoints nor at watchpoints. */
const QEMU_MAJOR = 10;
const QEMU = 'qemu-system-x86_64';

/** On a busy machine of two cores; a quiet one needs about 15 s. */
const BOOT_TIMEOUT_MS = 180_000;
const FILE_TIMEOUT_MS = 300_000;
const CONSOLE_TAIL = 6000;

export interface LabRun {
  /** Paths of `*.lab.ts` files. */
  readonly files: readonly string[];
  readonly testNamePattern?: string;
  readonly onMessage: (message: LabMessage) => void;
  /** Everything L1 writes on its console. */
  readonly onConsole?: (text: string) => void;
}

/** Makes sure that a lab can be had on this machine, installing what is missing. Returns a sentence when it cannot. */
export async function prepareLab(): Promise<string | undefined> {
  if ((await qemuMajor()) < QEMU_MAJOR) {
    const wanted = { suite: 'backports', minimumVersion: `1:${QEMU_MAJOR}` };
    const missing = await ensurePackages(['qemu-system-x86'], wanted);
    if (missing !== undefined) return missing;
  }
  try {
    await fetchPackage(KERNEL_PACKAGE);
    await fetchPackage('busybox-static');
    return undefined;
  } catch (error) {
    return `cannot fetch the lab's Debian packages: ${(error as Error).message}`;
  }
}

/** Runs test files in a fresh L1. Resolves when all have reported; rejects, with the end of L1's console, when L1 fails. */
export async function runLab(run: LabRun): Promise<void> {
  await withLab(async (directory) => {
    const pattern = run.testNamePattern === undefined ? {} : { testNamePattern: run.testNamePattern };
    const image = await buildImage(directory, run.files, { fileTimeoutMs: FILE_TIMEOUT_MS, ...pattern });
    const results = path.join(directory, 'results.sock');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(results, resolve));
    // However this process ends, QEMU ends with it.
    const command = ['--pdeathsig', 'KILL', QEMU, ...machineArguments(image, results, 'quiet')];
    const qemu = spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'pipe'] });
    try {
      await new L1(qemu, server, run).finished();
    } finally {
      await killed(qemu);
      server.close();
    }
  });
}

/** Boots L1 with a shell on this process's terminal. Resolves when L1 is off. */
export async function runShell(files: readonly string[]): Promise<void> {
  await withLab(async (directory) => {
    const image = await buildImage(directory, files, { fileTimeoutMs: FILE_TIMEOUT_MS });
    const qemu = spawn(QEMU, machineArguments(image, undefined, 'lab.shell'), { stdio: 'inherit' });
    await new Promise((resolve) => qemu.once('close', resolve));
  });
}

/** One L1 at a time on a machine: each takes all its cores and 3 GiB. */
async function withLab(action: (directory: string) => Promise<void>): Promise<void> {
  await withLock('lab', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'trapframe-lab-'));
    try {
      await action(directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
}

async function qemuMajor(): Promise<number> {
  try {
    const { stdout } = await promisify(execFile)(QEMU, ['--version']);
    return Number(/version (\d+)\./.exec(stdout)?.[1] ?? 0);
  } catch {
    return 0; // not installed
  }
}

function machineArguments(image: LabImage, results: string | undefined, cmdline: string): string[] {
  // No reboot and panic=-1: a crash of L1 ends QEMU. Mitigations cost emulation time and protect nobody here.
  const kernelArguments = `console=ttyS0 panic=-1 mitigations=off nowatchdog rcupdate.rcu_cpu_stall_suppress=1 ${cmdline}`;
  const args = ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max,+svm,+npt', '-smp', '2', '-m', '3072'];
  args.push('-nodefaults', '-no-reboot', '-display', 'none');
  args.push(
    '-chardev',
    `stdio,id=console,signal=off${results === undefined ? ',mux=on' : ''}`,
    '-serial',
    'chardev:console',
  );
  args.push('-kernel', image.kernel, '-initrd', image.initrd, '-append', kernelArguments);
  if (results !== undefined) {
    args.push('-chardev', `socket,id=results,path=${results}`);
    args.push(
      '-device',
      'virtio-serial-pci',
      '-device',
      `virtserialport,chardev=results,name=${RESULTS_PORT}`,
    );
  }
  return args;
}

/** What the host knows of one running L1: its console, its messages, and whether both are as they should be. */
class L1 {
  readonly #qemu: ChildProcess;
  readonly #server: Server;
  readonly #run: LabRun;
  #console = '';
  #done = false;

  constructor(qemu: ChildProcess, server: Server, run: LabRun) {
    this.#qemu = qemu;
    this.#server = server;
    this.#run = run;
    for (const stream of [qemu.stdout, qemu.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#console = (this.#console + text).slice(-CONSOLE_TAIL);
        run.onConsole?.(text);
      });
    }
  }

  async finished(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const fail = (reason: string): void => {
        clearTimeout(timer);
        reject(new Error(`${reason}; the end of its console:\n${this.#console}`));
      };
      const arm = (ms: number, what: string): NodeJS.Timeout =>
        setTimeout(() => fail(`L1 did not ${what} in ${ms / 1000} s`), ms);
      let timer = arm(BOOT_TIMEOUT_MS, 'boot');
      this.#onMessage((message) => {
        this.#run.onMessage(message);
        clearTimeout(timer);
        if (message.type === 'done') this.#done = true;
        // The runner limits each file itself; this is for an L1 that hangs as a whole.
        timer = arm(FILE_TIMEOUT_MS + 60_000, this.#done ? 'power off' : 'report anything');
      });
      this.#qemu.once('error', (error) => fail(`cannot start ${QEMU}: ${error.message}`));
      this.#qemu.once('close', (code, signal) => {
        if (!this.#done) return fail(`L1 ended early (${QEMU}: ${signal ?? `exit code ${String(code)}`})`);
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #onMessage(handle: (message: LabMessage) => void): void {
    this.#server.once('connection', (socket) => {
      createInterface({ input: socket }).on('line', (line) => handle(JSON.parse(line) as LabMessage));
    });
  }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await closed;
}
