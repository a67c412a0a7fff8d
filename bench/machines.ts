/**
 * The two VMMs, started the same way: the same guest, 256 MiB, one vCPU, COM1 on standard output,
 * isa-debug-exit.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const MEMORY_MIB = 256;
export const VMM = path.join(import.meta.dirname, '../dist/vmm.js');

/**
 * If NODE_EXTRA_CA_CERTS is set, every Node program first reads those certificates (30 ms here), needed or
 * not.
 */
export const ENVIRONMENT = { ...process.env, NODE_EXTRA_CA_CERTS: undefined };

export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * A copy of the node binary: memory that this program shares with the measured one would otherwise count half
 * (PSS). Removed with `remove`.
 */
export function privateNode(): { readonly node: string; readonly remove: () => void } {
  const directory = mkdtempSync(path.join(tmpdir(), 'tf-bench-'));
  const node = path.join(directory, 'node');
  copyFileSync(process.execPath, node);
  return { node, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export function trapframe(node: string, kernel: string): CommandLine {
  return ours(node, ['--kernel', kernel, '--debug-exit']);
}

/** What a guest loads (test/guests/blkLoad.c), and what it is told to do. */
export interface DiskLoad {
  readonly kernel: string;
  readonly work: string;
  readonly file: string;
  readonly format: string;
}

/** Without isa-debug-exit: its guest halts in the end, and the disk is idle. */
export function trapframeWithDisk(node: string, { kernel, work, file, format }: DiskLoad): CommandLine {
  const disk = ['--disk', `${file},format=${format},transport=mmio`];
  return ours(node, ['--kernel', kernel, ...disk, '--cmdline', `scan=0xd0000000,0x1000,8 ${work}`]);
}

function ours(node: string, options: readonly string[]): CommandLine {
  return { command: node, args: [VMM, 'run', '--memory', `${MEMORY_MIB}M`, ...options] };
}

/**
 * `acpi=off` makes microvm start by qboot: the quickest QEMU has. (With ACPI it runs SeaBIOS first, which
 * costs seconds where KVM emulates real mode.) QEMU 7 aborts on some hosts without `-arch-capabilities`. RAM
 * is a memfd so that smaps names it.
 */
export function qemu(kernel: string): CommandLine {
  return theirs(['-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-kernel', kernel]);
}

/** `aio`: io_uring or threads. */
export function qemuWithDisk(aio: string, { kernel, work, file, format }: DiskLoad): CommandLine {
  const drive = `file=${file},id=disk,format=${format},if=none,cache=writeback,aio=${aio}`;
  return theirs([
    ...[
      '-global',
      'virtio-mmio.force-legacy=false',
      '-drive',
      drive,
      '-device',
      'virtio-blk-device,drive=disk',
    ],
    ...['-kernel', kernel, '-append', `scan=0xfeb00000,0x200,24 ${work}`],
  ]);
}

function theirs(options: readonly string[]): CommandLine {
  const ram = `memory-backend-memfd,id=ram,size=${MEMORY_MIB}M`;
  const args = ['-accel', 'kvm', '-cpu', 'host,-arch-capabilities', '-object', ram];
  args.push('-M', 'microvm,acpi=off,memory-backend=ram', '-m', `${MEMORY_MIB}`, '-smp', '1', '-nodefaults');
  args.push('-no-user-config', '-display', 'none', '-serial', 'stdio');
  return { command: 'qemu-system-x86_64', args: [...args, ...options] };
}

export interface Running {
  readonly process: ChildProcess;
  /** When it was started (performance.now). */
  readonly startedMs: number;
  /** Resolves with the time at which this byte came out of COM1. Rejects when the process ends before. */
  readonly sawByte: (byte: string) => Promise<number>;
  readonly kill: () => Promise<void>;
}

const BYTE_TIMEOUT_MS = 60_000;

export function start({ command, args }: CommandLine): Running {
  const startedMs = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: ENVIRONMENT });
  const seen = new Map<string, number>();
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const now = performance.now();
    for (const byte of chunk.toString('latin1')) if (!seen.has(byte)) seen.set(byte, now);
    child.emit('serial');
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const gone = once(child, 'close');
  const sawByte = async (byte: string): Promise<number> => {
    const signal = AbortSignal.timeout(BYTE_TIMEOUT_MS);
    for (;;) {
      const time = seen.get(byte);
      if (time !== undefined) return time;
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`${command} ended before the guest printed ${byte}: ${stderr}`);
      }
      await Promise.race([once(child, 'serial', { signal }), gone]);
    }
  };
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  return { process: child, startedMs, sawByte, kill };
}
