/**
 * What L1 tells the host over the virtio-serial port: one JSON object per line, only in that direction.
 * Written by runner.ts and reporter.ts, read by ../lab.ts.
 */

/** The name of the port: /sys/class/virtio-ports/<device>/name. */
export const RESULTS_PORT = 'trapframe.lab.results';

/** How often L1 says that it lives. */
export const PULSE_MS = 10_000;

/** Where L1 has the repository (only dist/, test/lab and the modules dist/ leaves outside its bundles). */
export const LAB_ROOT = '/trapframe';
export const JOB_FILE = `${LAB_ROOT}/test/lab/job.json`;

/** Where L1 has the guests (L2) that ../payloads.ts makes. */
export const PAYLOADS = {
  bzImage: '/payloads/bzImage',
  vmlinux: '/payloads/vmlinux',
  initrd: '/payloads/initrd.cpio',
  /** Guests of test/guests. */
  intGate: '/payloads/intGate.elf',
  tripleFault: '/payloads/tripleFault.elf',
  /** Kernels other than Linux. If one was not available, its `missingNote` says why. */
  xen: '/payloads/xen',
  memtest32: '/payloads/memtest32',
} as const;

/** L1's disk, where it is mounted, and what is on it for guests that have disks (../labDisk.ts). */
export const DISK = {
  mount: '/disk',
  /** An ext4 file system that such a guest has as its root, raw. */
  root: '/disk/root.img',
  initrd: '/disk/initrd.cpio',
  /** A kernel with all drivers, and such an initrd for it. */
  fullVmlinux: '/disk/full-vmlinux',
  fullInitrd: '/disk/full-initrd.cpio',
  /** The QEMU to measure beside, its libraries in their usual places below this. */
  qemu: '/disk/qemu',
} as const;

/** For a missing payload: the file with the reason. */
export function missingNote(payload: string): string {
  return `${payload}.missing`;
}

/** What the host asks L1 to do; packed into its image. */
export interface LabJob {
  /** Bundles, relative to LAB_ROOT, in the order to run them. */
  readonly bundles: readonly string[];
  /** `--test-name-pattern`, to run only some tests of the files. */
  readonly testNamePattern?: string;
  /** Added to the environment of the test files. */
  readonly environment?: Readonly<Record<string, string>>;
  /** A file that takes longer is killed, so that the others still run. */
  readonly fileTimeoutMs: number;
}

export interface LabError {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly cause?: LabError;
}

/** For a message without a stack. */
export function plainError(message: string): LabError {
  return { name: 'Error', message, stack: `Error: ${message}` };
}

/** How one test ended. A test that fails only through a subtest has `passed: false` and no error. */
export interface LabOutcome {
  readonly passed: boolean;
  readonly skip?: string;
  readonly todo?: string;
  readonly error?: LabError;
}

/** From the test process of one file; `nesting` counts from 0 for the file's own top level. */
export type LabTestEvent =
  | { readonly type: 'open'; readonly nesting: number; readonly name: string }
  | { readonly type: 'close'; readonly nesting: number; readonly name: string; readonly outcome: LabOutcome }
  | { readonly type: 'diagnostic'; readonly message: string }
  /** A file of L1; `data`: gzip, in base64. See attachment.ts. */
  | { readonly type: 'attachment'; readonly file: string; readonly data: string };

export type LabMessage =
  | { readonly type: 'ready'; readonly node: string; readonly kernel: string; readonly uptimeSeconds: number }
  | { readonly type: 'fileStart'; readonly bundle: string }
  | { readonly type: 'test'; readonly bundle: string; readonly event: LabTestEvent }
  /** `problem` is set when the file's process ended in a way that its tests do not explain. */
  | { readonly type: 'fileEnd'; readonly bundle: string; readonly problem?: string }
  | { readonly type: 'pulse' }
  | { readonly type: 'done' };
