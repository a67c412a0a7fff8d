/**
 * Builds what L1 boots: a stock Debian kernel and one initramfs made of two archives. The base (busybox, node
 * and its libraries, koffi, the kernel's modules, the guests) changes rarely and is kept in the cache under
 * its content's hash; the overlay (dist/ and the tests) is made for each run.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, readdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { build } from 'esbuild';
import { cacheDirectory } from '../../scripts/cache.ts';
import { guest } from '../guests/build.ts';
import { CpioArchive } from './cpio.ts';
import { JOB_FILE, type LabJob, LAB_ROOT, PAYLOADS } from './inside/labProtocol.ts';
import { labDisk } from './labDisk.ts';
import { moduleClosure } from './kernelModules.ts';
import {
  foreignKernels,
  guestInitrd,
  innerVmlinux,
  l1Kernel,
  type StockKernel,
  staticBusybox,
  stockKernel,
} from './payloads.ts';
import { sharedLibraries } from './sharedLibraries.ts';

const REPOSITORY = path.resolve(import.meta.dirname, '../..');
const INSIDE = path.join(import.meta.dirname, 'inside');

/** kvm-amd is what the lab is about; others carry results and the disk, or are storage and networks. */
const MODULES = [
  ...['kvm-amd', 'virtio_pci', 'virtio_console', 'virtio_blk', 'ext4', 'loop', 'dm_mod'],
  ...['tun', 'vhost_net', 'dummy', 'bridge'],
];

/**
 * What the bundles in dist/ and the test bundles leave to node's own resolution; see `external` in the
 * build.
 */
const RUNTIME_MODULES = ['koffi', '@koromix/koffi-linux-x64'];
const UNUSED_MODULE_FILES = /\/(?:doc|vendor|musl_x64|deps)\/|\.(?:md|cc|hh|h|c|d\.ts)$/;
/** Debian's, as LAB_TOOLS says; into /bin. */
const TOOLS = ['/sbin/dmsetup', '/usr/bin/iperf3', '/usr/bin/passt'];

export interface LabImage {
  readonly kernel: string;
  readonly initrd: string;
  /** In the cache: L1 writes to a copy. */
  readonly disk: string;
}

/** Writes the image for one run into `directory`. `files` are paths of `*.lab.ts` files. */
export async function buildImage(
  directory: string,
  files: readonly string[],
  job: Omit<LabJob, 'bundles'>,
): Promise<LabImage> {
  const kernel = await l1Kernel();
  const base = await baseArchive(kernel);
  const kernelFile = path.join(directory, 'kernel');
  const initrd = path.join(directory, 'initrd');
  await writeFile(kernelFile, kernel.bzImage);
  await pipeline(createReadStream(base), createWriteStream(initrd));
  await writeFile(initrd, await overlayArchive(files, job), { flag: 'a' });
  return { kernel: kernelFile, initrd, disk: await labDisk() };
}

/** Where a test file is inside L1, relative to LAB_ROOT. */
export function bundleName(file: string): string {
  return path.relative(REPOSITORY, file).replace(/\.ts$/, '.js');
}

/** Stack traces from L1 name its own paths; these map them to the repository's. */
export function toHostPaths(text: string): string {
  return text.replaceAll(`${LAB_ROOT}/`, `${REPOSITORY}/`);
}

// The base.

async function baseArchive(kernel: StockKernel): Promise<string> {
  const store = path.join(cacheDirectory(), 'lab');
  await mkdir(store, { recursive: true });
  const contents = await baseContents(kernel);
  const hash = createHash('sha256').update(kernel.bzImage);
  for (const [name, data] of contents) hash.update(`\0${name}\0${data.length}\0`).update(data);
  const file = path.join(store, `base-${hash.digest('hex').slice(0, 16)}.cpio`);
  const present = await stat(file).catch(() => undefined); // ENOENT: to be built
  if (present !== undefined) return file;

  for (const old of await readdir(store)) if (old.startsWith('base-')) await rm(path.join(store, old));
  const archive = new CpioArchive().characterDevice('/dev/console', 5, 1);
  for (const [name, data] of contents) {
    const executable = name === '/init' || name.startsWith('/bin/') || name.includes('.so');
    archive.file(name, data, executable ? 0o755 : 0o644);
  }
  const guestKernel = await stockKernel();
  archive.file(PAYLOADS.bzImage, guestKernel.bzImage);
  archive.file(PAYLOADS.vmlinux, innerVmlinux(guestKernel.bzImage));
  archive.file(PAYLOADS.initrd, await guestInitrd());
  await writeFile(`${file}.new`, archive.finish());
  await rename(`${file}.new`, file);
  return file;
}

/** Everything but what is derived from the kernel's image. */
async function baseContents(kernel: StockKernel): Promise<Map<string, Buffer>> {
  const contents = new Map<string, Buffer>();
  contents.set('/init', await readFile(path.join(INSIDE, 'l1Init.sh')));
  contents.set('/bin/busybox', await staticBusybox());
  contents.set('/etc/passwd', Buffer.from('root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n'));
  contents.set('/etc/hosts', Buffer.from('127.0.0.1 localhost\n'));
  contents.set('/guestInit', await readFile(path.join(INSIDE, 'l2Init.sh'))); // only so that it is part of the hash

  contents.set('/bin/node', await readFile(process.execPath));
  for (const tool of TOOLS) contents.set(`/bin/${path.basename(tool)}`, await readFile(await realpath(tool)));
  for (const name of RUNTIME_MODULES) {
    const directory = path.join(REPOSITORY, 'node_modules', name);
    for (const [file, data] of await readTree(directory)) {
      if (!UNUSED_MODULE_FILES.test(file)) contents.set(`${LAB_ROOT}/node_modules/${name}/${file}`, data);
    }
  }
  const koffi = path.join(REPOSITORY, 'node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node');
  for (const library of await sharedLibraries([process.execPath, koffi, ...TOOLS])) {
    contents.set(library, await readFile(await realpath(library)));
  }

  const modules = await moduleClosure(path.join(kernel.directory, 'lib/modules', kernel.release), MODULES);
  for (const [name, data] of modules) contents.set(`/lib/modules/${name}.ko`, data);
  const order = [...modules.keys()].map((it) => `${it}.ko\n`).join('');
  contents.set('/lib/modules/lab.order', Buffer.from(order));
  return contents;
}

// The overlay.

async function overlayArchive(files: readonly string[], job: Omit<LabJob, 'bundles'>): Promise<Buffer> {
  const archive = new CpioArchive();
  const dist = path.join(REPOSITORY, 'dist');
  for (const [name, data] of await readTree(dist)) archive.file(`${LAB_ROOT}/dist/${name}`, data, 0o755);
  for (const name of ['intGate', 'tripleFault'] as const)
    archive.file(PAYLOADS[name], await readFile(await guest(name)));
  for (const [name, data] of await foreignKernels()) archive.file(name, data);
  const runner = path.join(INSIDE, 'runner.ts');
  for (const file of [...files, runner])
    archive.file(`${LAB_ROOT}/${bundleName(file)}`, await bundle(file, 'cjs'));
  archive.file(`${LAB_ROOT}/test/lab/inside/reporter.mjs`, await reporterModule());
  const whole: LabJob = { ...job, bundles: files.map(bundleName) };
  archive.file(JOB_FILE, JSON.stringify(whole));
  return archive.finish();
}

/** node takes a reporter from a module's default export, which our sources do not have. */
export async function reporterModule(): Promise<string> {
  const text = await bundle(path.join(INSIDE, 'reporter.ts'), 'esm');
  return `${text}\nexport default reporter;\n`;
}

export async function bundle(file: string, format: 'cjs' | 'esm'): Promise<string> {
  const result = await build({
    entryPoints: [file],
    outfile: path.join(REPOSITORY, bundleName(file)), // not written: where source map paths are relative to
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format,
    sourcemap: format === 'cjs' ? 'inline' : false,
    sourcesContent: false,
    external: RUNTIME_MODULES,
    define: { 'import.meta.dirname': '__dirname', 'import.meta.filename': '__filename' }, // as scripts/build.ts does
    logLevel: 'silent', // a failure throws, with the messages
  });
  const output = result.outputFiles[0];
  if (output === undefined) throw new Error(`esbuild gave nothing for ${file}`);
  return output.text;
}

/** Relative path to contents; empty when the directory does not exist. */
async function readTree(directory: string): Promise<Map<string, Buffer>> {
  const tree = new Map<string, Buffer>();
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    tree.set(path.relative(directory, file), await readFile(file));
  }
  return tree;
}
