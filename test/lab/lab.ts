/**
 * Boots L1, a Linux with full AMD-V under QEMU's software emulation, and has it run test files that need more
 * than the machine's own /dev/kvm can do. See README.md; image.ts decides what goes into L1, what runs in it
 * is in inside/.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Duplex, Readable } from 'node:stream';
import { cacheDirectory, withLock } from '../../scripts/cache.ts';
import { ensurePackages, fetchPackage } from '../../scripts/debian.ts';
import {
  BUSYBOX_PACKAGE,
  LAB_TOOLS,
  ensureQemu,
  fetchL1Kernel,
  KERNEL_PACKAGE,
} from '../../scripts/testing/downloads.ts';
import { buildImage, type LabImage } from './image.ts';
import { type LabMessage, RESULTS_PORT } from './inside/labProtocol.ts';
import { L1LostError } from './secondChance.ts';

const QEMU = 'qemu-system-x86_64';

/** On a busy machine with two cores; an idle one needs about 15 s. */
const BOOT_TIMEOUT_MS = 180_000;
const FILE_TIMEOUT_MS = 600_000;
/** Its runner says something every PULSE_MS, however long a file takes. */
const SILENCE_MS = 180_000;
const CONSOLE_TAIL = 6000;
/** The registers of two CPUs, without the irrelevant ones. */
const RESET_LOG_SHOWN = 5000;
const FPU_REGISTERS = /^(?:FCW|FPR|XMM|YMM|ZMM|Opmask)/;
/** QEMU's end of the results port. */
const RESULTS_FD = 3;
/** QEMU's end of its monitor's terminal. */
const MONITOR_FD = 4;
const MONITOR_PROMPT = '(qemu) ';
const MONITOR_MS = 10_000;

export interface LabRun {
  /** Paths of `*.lab.ts` files. */
  readonly files: readonly string[];
  readonly testNamePattern?: string;
  /** For one file; absent: 10 minutes. */
  readonly fileTimeoutMs?: number;
  /** A file that L1 reads as its second disk. */
  readonly secondDisk?: string;
  /** Added to the environment of the test files in L1. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly onMessage: (message: LabMessage) => void;
  /** Everything L1 writes on its console. */
  readonly onConsole?: (text: string) => void;
}

/**
 * Makes sure that the lab can run on this machine, installing what is missing. Returns a sentence when it
 * cannot.
 */
export async function prepareLab(): Promise<string | undefined> {
  const missing = await ensureQemu();
  if (missing !== undefined) return missing;
  try {
    await Promise.all([KERNEL_PACKAGE, BUSYBOX_PACKAGE].map(fetchPackage));
    await fetchL1Kernel();
    return await ensurePackages(LAB_TOOLS);
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Runs test files in a fresh L1. Resolves when all have reported; rejects, with the end of L1's console, when
 * L1 fails.
 */
export async function runLab(run: LabRun): Promise<void> {
  await withLab(async (directory) => {
    const { files, testNamePattern, environment, fileTimeoutMs = FILE_TIMEOUT_MS } = run;
    const image = await buildImage(directory, files, {
      fileTimeoutMs,
      ...(testNamePattern === undefined ? {} : { testNamePattern }),
      ...(environment === undefined ? {} : { environment }),
    });
    await new L1(directory, image, run).finished();
  });
}

/** Boots L1 with a shell on this process's terminal. Resolves when L1 is off. */
export async function runShell(files: readonly string[]): Promise<void> {
  await withLab(async (directory) => {
    const image = await buildImage(directory, files, { fileTimeoutMs: FILE_TIMEOUT_MS });
    const devices = '-chardev stdio,id=console,signal=off,mux=on';
    const qemu = spawn(QEMU, machineArguments(image, 'lab.shell', devices), { stdio: 'inherit' });
    await new Promise((resolve) => qemu.once('close', resolve));
  });
}

/**
 * One L1 at a time: each takes all cores and 3 GiB. What a killed run left in the directory is removed when
 * the next one begins.
 */
async function withLab(action: (directory: string) => Promise<void>): Promise<void> {
  await withLock('lab', async () => {
    const directory = path.join(cacheDirectory(), 'lab', 'run');
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    try {
      await action(directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
}

/**
 * LAB_CPUS and LAB_THREADS (`single`: one thread of QEMU runs all CPUs) are for measuring what the emulator
 * loses.
 */
function machineArguments(image: LabImage, cmdline: string, devices: string, secondDisk?: string): string[] {
  const { LAB_CPUS: cpus = '2', LAB_THREADS: threads = 'multi' } = process.env;
  // Without five-level paging: the emulator walks both its levels of page tables again after every exit of a
  // guest.
  const cpu = `-accel tcg,thread=${threads},tb-size=512 -cpu max,+svm,+npt,-la57 -smp ${cpus}`;
  const machine = `${cpu} -m 3072 -nodefaults -display none`;
  // panic=-1: a crash of L1 restarts it, and its second `ready` shows that. Mitigations cost emulation time
  // and protect nothing here.
  const parameters = `console=ttyS0 panic=-1 mitigations=off nowatchdog rcupdate.rcu_cpu_stall_suppress=1 ${cmdline}`;
  const boot = ['-kernel', image.kernel, '-initrd', image.initrd, '-append', parameters];
  const files = secondDisk === undefined ? [image.disk] : [image.disk, secondDisk];
  const disks = files.map(
    (file, i) =>
      `-drive file=${file},if=none,id=disk${i},format=raw,snapshot=on,aio=threads -device virtio-blk-pci,drive=disk${i}`,
  );
  const words =
    `${machine} ${disks.join(' ')} -serial chardev:console ${devices} ${process.env['LAB_QEMU'] ?? ''}`.trim();
  return [...boot, ...words.split(/\s+/)];
}

/** One running L1: its QEMU, what it says on its console, and its messages. */
class L1 {
  readonly #run: LabRun;
  readonly #directory: string;
  readonly #qemu: ChildProcess;
  readonly #results: Interface;
  #console = '';
  #isUp = false;
  #done = false;

  constructor(directory: string, image: LabImage, run: LabRun) {
    this.#run = run;
    this.#directory = directory;
    const results = `-device virtio-serial-pci -device virtserialport,chardev=results,name=${RESULTS_PORT}`;
    const ends = `-chardev stdio,id=console,signal=off -chardev socket,id=results,fd=${RESULTS_FD}`;
    const monitor = `-chardev socket,id=monitor,fd=${MONITOR_FD} -mon chardev=monitor,mode=readline`;
    const devices = `${ends} ${results} ${monitor} -d cpu_reset`;
    const options = machineArguments(image, 'quiet', devices, run.secondDisk);
    // However this process ends, QEMU ends with it.
    const command = ['--pdeathsig', 'KILL', QEMU, ...options, '-D', this.#resetLog];
    this.#qemu = spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] });
    // node's pipes are sockets, so this one is QEMU's connected socket.
    this.#results = createInterface({ input: this.#qemu.stdio[RESULTS_FD] as Readable });
    for (const stream of [this.#qemu.stdout, this.#qemu.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#console = (this.#console + text).slice(-CONSOLE_TAIL);
        run.onConsole?.(text);
      });
    }
  }

  /** Resolves when L1 has done its job and is off. */
  async finished(): Promise<void> {
    try {
      await this.#watch();
    } catch (error) {
      const { message } = error as Error;
      const tripleFault = tripleFaultIn(await readFile(this.#resetLog, 'utf8').catch(() => ''));
      const end = `the end of its console:\n${this.#console}`;
      if (tripleFault !== undefined)
        throw new L1LostError(`${message}: ${tripleFault}\n${end}`, { cause: error });
      const registers = this.#qemu.exitCode === null ? `\n--- its CPUs ---\n${await this.#registers()}` : '';
      throw new Error(`${message}; ${end}${registers}`, { cause: error });
    } finally {
      await killed(this.#qemu);
    }
  }

  #watch(): Promise<void> {
    return new Promise((resolve, reject) => {
      let failed = false;
      const fail = (reason: string): void => {
        failed = true;
        clearTimeout(timer);
        reject(new Error(reason));
      };
      const arm = (ms: number, what: string): NodeJS.Timeout =>
        setTimeout(() => fail(`L1 did not ${what} in ${ms / 1000} s`), ms);
      let timer = arm(BOOT_TIMEOUT_MS, 'boot');
      this.#results.on('line', (line) => {
        if (failed) return; // it is about to be killed
        const message = JSON.parse(line) as LabMessage;
        clearTimeout(timer);
        if (message.type === 'ready' && this.#isUp) return fail('L1 crashed and started again');
        if (message.type === 'ready') this.#isUp = true;
        if (message.type === 'done') this.#done = true;
        timer = arm(SILENCE_MS, this.#done ? 'power off' : 'report anything');
        this.#run.onMessage(message);
      });
      this.#qemu.once('error', (error) => fail(`cannot start ${QEMU} by setpriv(1): ${error.message}`));
      // After all its streams have ended: all its output has been read.
      this.#qemu.once('close', (code, signal) => {
        if (!this.#done) return fail(`L1 ended early (${QEMU}: ${signal ?? `exit code ${String(code)}`})`);
        clearTimeout(timer);
        resolve();
      });
    });
  }

  get #resetLog(): string {
    return path.join(this.#directory, 'resets.log');
  }

  /** Of an L1 that hangs, as reported by QEMU's monitor. */
  async #registers(): Promise<string> {
    const monitor = this.#qemu.stdio[MONITOR_FD] as Duplex;
    let text = '';
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(`${text}\n(no more in ${MONITOR_MS / 1000} s)`), MONITOR_MS);
      monitor.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk;
        // One prompt is before the command, and one after what it printed.
        if (text.split(MONITOR_PROMPT).length < 3) return;
        clearTimeout(timer);
        resolve(text);
      });
      monitor.write('info registers -a\n');
    });
  }
}

/**
 * A triple fault of L1 says nothing on its console; its registers are in the emulator's log (`-d
 * cpu_reset`), which has them for every reset of the CPUs. With -no-reboot they are not: QEMU then ends
 * instead.
 */
export function tripleFaultIn(resetLog: string): string | undefined {
  const at = resetLog.indexOf('Triple fault');
  if (at < 0) return undefined;
  const lines = resetLog.slice(at).split('\n');
  const shown = lines.filter((it) => !FPU_REGISTERS.test(it)).join('\n');
  return `lost by the emulator: L1 triple faulted:\n${shown.slice(0, RESET_LOG_SHOWN)}`;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await closed;
}
