/**
 * What suites get from the network before their tests ask for it. Tests get the same through the same
 * functions, and skip without it.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { ensureChromium, ensureCodeServer } from '../codeServer.ts';
import { enableBackports, ensurePackages, fetchPackage } from '../debian.ts';

/** The lab's: what L1 boots (io_uring there needs more than 6.1 has), and the guest in it. */
export const L1_KERNEL_PACKAGE = 'linux-image-6.12.*-cloud-amd64';
export const KERNEL_PACKAGE = 'linux-image-6.1.0-*-cloud-amd64';
export const BUSYBOX_PACKAGE = 'busybox-static';
/** What guests with a root on a disk have on them, and L1 itself, installed here and copied from here. */
export const LAB_TOOLS = ['e2fsprogs', 'fio', 'dmsetup', 'xz-utils', 'iperf3', 'nftables', 'socat', 'passt'];
/** What a kernel is built of, packed. */
export const SOURCE_PACKAGE = 'linux-source-6.1';
/** Kernels other than Linux. */
export const XEN_PACKAGE = 'xen-hypervisor-*-amd64';
export const MEMTEST_PACKAGE = 'memtest86+';

/** Older AMD-V emulation stops a nested guest neither at breakpoints nor at watchpoints. */
const QEMU_MAJOR = 10;
const QEMU_VERSION = { suite: 'backports', minimumVersion: `1:${QEMU_MAJOR}` };

export async function fetchKernelDebug(): Promise<void> {
  await fetchPackage(`${KERNEL_PACKAGE}-dbg`);
}

/** A QEMU for the lab: the machine's own, or Debian's. Returns a sentence when there is none. */
export async function ensureQemu(): Promise<string | undefined> {
  if ((await installedQemuMajor()) >= QEMU_MAJOR) return undefined;
  return ensurePackages(['qemu-system-x86'], QEMU_VERSION);
}

async function installedQemuMajor(): Promise<number> {
  try {
    const { stdout } = await promisify(execFile)('qemu-system-x86_64', ['--version']);
    return Number(/version (\d+)\./.exec(stdout)?.[1] ?? 0);
  } catch {
    return 0; // not installed
  }
}

export async function fetchLabPackages(): Promise<void> {
  const packages = [KERNEL_PACKAGE, BUSYBOX_PACKAGE, XEN_PACKAGE, MEMTEST_PACKAGE];
  await Promise.all([
    ensureQemu(),
    ensurePackages(LAB_TOOLS),
    fetchL1Kernel(),
    fetchFullKernel(),
    ...packages.map(fetchPackage),
  ]);
}

/** The unpacked package. Throws when it is not to be had. */
export async function fetchL1Kernel(): Promise<string> {
  await enableBackports(); // a machine that has them already needs no rights for this
  return fetchPackage(L1_KERNEL_PACKAGE);
}

/** The guests' kernel with all of its drivers: the one for clouds has no 9p. See fetchL1Kernel. */
export async function fetchFullKernel(): Promise<string> {
  const [name = ''] = path.basename(await fetchPackage(KERNEL_PACKAGE)).split('_');
  return fetchPackage(name.replace('-cloud', ''));
}

export async function fetchVsCode(): Promise<void> {
  await Promise.all([ensureChromium(), ensureCodeServer()]);
}
