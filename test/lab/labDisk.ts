/**
 * L1's disk: an ext4 file system with what guests with disks boot from, their root file system (ext4 again,
 * raw) and an initrd with the stock kernel's own drivers. Made once, and kept in the cache under its
 * content's hash.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../scripts/cache.ts';
import { CpioArchive } from './cpio.ts';
import { DISK } from './inside/labProtocol.ts';
import { moduleClosure } from './kernelModules.ts';
import { fullKernel, innerVmlinux, staticBusybox, type StockKernel, stockKernel } from './payloads.ts';
import { sharedLibraries } from './sharedLibraries.ts';

const INSIDE = path.join(import.meta.dirname, 'inside');

const SIZE = '12G'; // of L1's disk; sparse
const ROOT_SIZE = '4G'; // for 1 GiB of data, twice; sparse, too
/** Drivers of the guest: both transports, and what is behind them. */
const MODULES = ['virtio_pci', 'virtio_mmio', 'virtio_blk', 'virtio_rng', 'virtio_console', 'ext4'];
/** Those that a guest loads when its command line names them, `lab.modules=virtio_net,bridge`. */
const MODULES_ON_DEMAND = [
  ...['virtio_net', 'nf_tables', 'nft_ct', 'nft_reject_inet', 'bridge'],
  ...['vmw_vsock_virtio_transport', 'virtio_balloon', 'virtio_scsi', 'sr_mod', 'isofs'],
];
/** Of the kernel with all drivers. */
const FULL_MODULES_ON_DEMAND = ['9p', '9pnet_virtio'];
/** From this machine, with their libraries. */
const QEMU = '/usr/bin/qemu-system-x86_64';
/** The firmware of its microvm, and the option ROM that boots a kernel by its PVH note. */
const QEMU_DATA = [
  '/usr/share/seabios/bios-microvm.bin',
  '/usr/share/qemu/pvh.bin',
  '/usr/share/qemu/kvmvapic.bin',
];
const TOOLS = [
  ...['/sbin/mke2fs', '/sbin/e2fsck', '/sbin/resize2fs', '/usr/bin/fio'],
  ...['/usr/bin/iperf3', '/usr/sbin/nft', '/usr/bin/socat'],
];

/** The path of the disk's image. */
export async function labDisk(): Promise<string> {
  const store = path.join(cacheDirectory(), 'lab');
  await mkdir(store, { recursive: true });
  const initrd = await initrdArchive(await stockKernel(), MODULES_ON_DEMAND);
  const full = await fullKernelContents();
  const root = await rootContents(initrd);
  const qemu = await qemuContents();
  const hash = createHash('sha256').update(initrd).update(SIZE).update(ROOT_SIZE);
  for (const [name, data] of [...root, ...qemu, ...full])
    hash.update(`\0${name}\0${data.length}\0`).update(data);
  const file = path.join(store, `disk-${hash.digest('hex').slice(0, 16)}.img`);
  if ((await stat(file).catch(() => undefined)) !== undefined) return file; // ENOENT: to be made
  for (const old of await readdir(store)) if (old.startsWith('disk-')) await rm(path.join(store, old));
  const work = await mkdtemp(path.join(store, '.work-'));
  try {
    await makeDisk(work, { root, initrd, qemu, full });
    await rename(path.join(work, 'disk.img'), file);
    return file;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface DiskContents {
  readonly root: Contents;
  readonly initrd: Uint8Array;
  readonly qemu: Contents;
  readonly full: Contents;
}

async function makeDisk(work: string, { root, initrd, qemu, full }: DiskContents): Promise<void> {
  const tree = path.join(work, 'root');
  for (const [name, data] of root) await place(tree, name, data);
  for (const name of ['proc', 'sys', 'dev', 'tmp', 'mnt', 'root'])
    await mkdir(path.join(tree, name), { recursive: true });
  const disk = path.join(work, 'disk');
  await mkdir(disk);
  await makeFileSystem(path.join(disk, path.basename(DISK.root)), ROOT_SIZE, tree);
  await writeFile(path.join(disk, path.basename(DISK.initrd)), initrd);
  for (const [name, data] of qemu) await place(path.join(disk, path.basename(DISK.qemu)), name, data);
  for (const [name, data] of full) await writeFile(path.join(disk, name), data);
  await makeFileSystem(path.join(work, 'disk.img'), SIZE, disk);
}

type Contents = ReadonlyMap<string, Buffer>;

async function rootContents(initrd: Uint8Array): Promise<Contents> {
  const contents = new Map<string, Buffer>();
  const busybox = await staticBusybox();
  contents.set('/bin/busybox', busybox);
  contents.set('/bin/sh', busybox); // the shell must be there before applets are installed
  contents.set('/sbin/agent', await readFile(path.join(INSIDE, 'agent.sh')));
  contents.set('/etc/passwd', Buffer.from('root:x:0:0:root:/root:/bin/sh\n'));
  contents.set('/etc/mke2fs.conf', await readFile('/etc/mke2fs.conf'));
  for (const file of [...TOOLS, ...(await sharedLibraries(TOOLS))])
    contents.set(file, await readFile(await realpath(file)));
  contents.set('/bin/netLoad', await staticProgram('netLoad'));
  // To start anew from, by itself.
  contents.set('/sbin/kexec', await staticProgram('kexec'));
  contents.set('/boot/vmlinuz', (await stockKernel()).bzImage);
  contents.set('/boot/initrd', Buffer.from(initrd));
  return contents;
}

/** Of a C source in inside/. */
async function staticProgram(name: string): Promise<Buffer> {
  const directory = await mkdtemp(path.join(tmpdir(), 'trapframe-lab-'));
  try {
    const program = path.join(directory, name);
    await promisify(execFile)('gcc', ['-Os', '-static', '-o', program, path.join(INSIDE, `${name}.c`)]);
    return await readFile(program);
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function qemuContents(): Promise<Contents> {
  const contents = new Map<string, Buffer>();
  for (const file of [QEMU, ...QEMU_DATA, ...(await sharedLibraries([QEMU]))])
    contents.set(file, await readFile(await realpath(file)));
  return contents;
}

async function fullKernelContents(): Promise<Contents> {
  const kernel = await fullKernel();
  return new Map([
    [path.basename(DISK.fullVmlinux), innerVmlinux(kernel.bzImage)],
    [path.basename(DISK.fullInitrd), Buffer.from(await initrdArchive(kernel, FULL_MODULES_ON_DEMAND))],
  ]);
}

async function initrdArchive(kernel: StockKernel, onDemand: readonly string[]): Promise<Uint8Array> {
  const directory = path.join(kernel.directory, 'lib/modules', kernel.release);
  const modules = await moduleClosure(directory, MODULES);
  const archive = new CpioArchive().characterDevice('/dev/console', 5, 1);
  archive.file('/bin/busybox', await staticBusybox(), 0o755);
  archive.file('/init', await readFile(path.join(INSIDE, 'diskGuestInit.sh')), 0o755);
  archive.file('/sbin/agent', await readFile(path.join(INSIDE, 'agent.sh')), 0o755);
  archive.file('/lib/modules/lab.order', orderOf(modules));
  for (const name of onDemand) {
    const closure = await moduleClosure(directory, [name]);
    archive.file(`/lib/modules/${name}.order`, orderOf(closure));
    for (const [needed, data] of closure) modules.set(needed, data);
  }
  for (const [name, data] of modules) archive.file(`/lib/modules/${name}.ko`, data);
  return archive.finish();
}

function orderOf(modules: ReadonlyMap<string, Buffer>): string {
  return [...modules.keys()].map((it) => `${it}\n`).join('');
}

async function place(tree: string, name: string, data: Buffer): Promise<void> {
  const file = path.join(tree, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, data, { mode: 0o755 });
}

/** With what is in `tree`, all of it root's. */
async function makeFileSystem(file: string, size: string, tree: string): Promise<void> {
  const options = ['-q', '-F', '-t', 'ext4', '-E', 'root_owner=0:0,lazy_itable_init=1', '-d', tree];
  await promisify(execFile)('mke2fs', [...options, file, size], {
    env: { ...process.env, PATH: `${process.env['PATH']}:/sbin:/usr/sbin` },
  });
}
