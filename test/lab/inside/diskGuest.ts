/**
 * A stock Linux in L1 whose root is on a disk, and which does what it is told: each command runs in its
 * shell, whose output and exit code come back. The other end is agent.sh.
 */
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { DISK, PAYLOADS } from './labProtocol.ts';
import type { GuestRun } from './guestRun.ts';
import { VMM, VmmRun } from './vmmRun.ts';

/** Of silence; an idle machine needs a tenth of it for the whole boot. */
const BOOT_MS = 180_000;
const COMMAND_MS = 180_000;

export interface CommandResult {
  readonly code: number;
  readonly output: string;
}

export interface DiskGuestOptions {
  readonly cpus?: number;
  /** Added to the command line of `vmm run`. */
  readonly more?: readonly string[];
  /** Added to the kernel's. */
  readonly cmdline?: string;
  readonly memory?: string;
  /** A larger kernel, with drivers that the other has not. */
  readonly hasAllDrivers?: true;
  /** Added to that of `vmm run`. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** `file`: what L1 must have for these guests. */
export function reasonToSkip(file: string = DISK.initrd): string | false {
  if (!existsSync(VMM)) return 'dist/vmm.js is not there: run "npm run build"';
  return existsSync(file) ? false : `L1 has no ${file}`;
}

/** A guest that needs no disk, for as long as the test runs. `more`: see DiskGuestOptions. */
export async function bootWithoutDisks(t: TestContext, ...more: readonly string[]): Promise<DiskGuest> {
  const guest = bootWithDisks([], { more, cmdline: 'lab.root=none', memory: '256M' });
  t.after(() => guest.kill());
  await guest.ready();
  return guest;
}

/** `disks`: values of --disk, the root's first. */
export function bootWithDisks(disks: readonly string[], options: DiskGuestOptions = {}): DiskGuest {
  const { cpus = 1, more = [], cmdline = '', memory = '384M', environment } = options;
  const [kernel, initrd] =
    options.hasAllDrivers === true ? [DISK.fullVmlinux, DISK.fullInitrd] : [PAYLOADS.vmlinux, DISK.initrd];
  const args = [
    ...['--kernel', kernel, '--initrd', initrd, '--memory', memory, '--cpus', String(cpus)],
    ...['--cmdline', `console=ttyS0 quiet ${cmdline}`.trim()],
    ...disks.flatMap((it) => ['--disk', it]),
    ...more,
  ];
  return new DiskGuest(new VmmRun(args, environment));
}

export class DiskGuest {
  readonly run: GuestRun;

  constructor(run: GuestRun) {
    this.run = run;
  }

  async ready(): Promise<void> {
    await this.run.expect(/AGENT-READY\n/, BOOT_MS);
  }

  /** Whatever the exit code. `command` is one line. */
  async try(command: string, silenceMs = COMMAND_MS): Promise<CommandResult> {
    this.run.type(`${command}\n`);
    const match = await this.run.expect(/([^]*?)AGENT-DONE (\d+)\n/, silenceMs);
    return { code: Number(match[2]), output: (match[1] ?? '').trim() };
  }

  /** Throws when the command fails. Returns its output. */
  async sh(command: string, silenceMs = COMMAND_MS): Promise<string> {
    const { code, output } = await this.try(command, silenceMs);
    if (code !== 0) throw new Error(`in the guest, ${command}: exit code ${code}\n${output}`);
    return output;
  }

  async powerOff(): Promise<number | null> {
    this.run.type('sync; poweroff -f\n');
    return this.run.exitCode(COMMAND_MS);
  }

  kill(): Promise<void> {
    return this.run.kill();
  }
}
