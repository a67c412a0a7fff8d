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
const ENVIRONMENT = { ...process.env, NODE_EXTRA_CA_CERTS: undefined };

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
  const args = ['run', '--kernel', kernel, '--memory', `${MEMORY_MIB}M`, '--debug-exit'];
  return { command: node, args: [VMM, ...args] };
}

/**
 * `acpi=off` makes microvm start by qboot: the quickest QEMU has. (With ACPI it runs SeaBIOS first, which
 * costs seconds where KVM emulates real mode.) QEMU 7 aborts on some hosts without `-arch-capabilities`. RAM
 * is a memfd so that smaps names it.
 */
export function qemu(kernel: string): CommandLine {
  const ram = `memory-backend-memfd,id=ram,size=${MEMORY_MIB}M`;
  const args = ['-accel', 'kvm', '-cpu', 'host,-arch-capabilities', '-object', ram];
  args.push('-M', 'microvm,acpi=off,memory-backend=ram', '-m', `${MEMORY_MIB}`, '-smp', '1', '-nodefaults');
  args.push('-no-user-config', '-display', 'none', '-serial', 'stdio');
  args.push('-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-kernel', kernel);
  return { command: 'qemu-system-x86_64', args };
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
