/**
 * Bundles the product into dist/ under fixed names (design §4): `npm run build`, `npm run watch`.
 *
 * Each bundle is one CommonJS file: VS Code loads those, and a dynamic `import()` stays lazy inside one (a
 * module's code runs when it is first imported), which keeps `vmm` quick to start. Only koffi (native) and
 * `vscode` (provided by the editor) stay outside. Names are not minified: stacks stay readable. Files are
 * replaced by rename, so that a test or a running editor never loads half a bundle.
 */
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type BuildContext, type OutputFile, type Plugin, context } from 'esbuild';
import { bundleOptions, ROOT } from './bundle.ts';

interface Bundle {
  /** Relative to the repository. */
  readonly source: string;
  /** Relative to dist/. */
  readonly output: string;
  readonly executable?: boolean;
}

const DIST = path.join(ROOT, 'dist');

const BUNDLES: readonly Bundle[] = [
  { source: 'extension/main.ts', output: 'extension.js' },
  { source: 'vmm-core/start.ts', output: 'vmm.js', executable: true },
  { source: 'vmm-core/main.ts', output: 'vmm-main.js' },
  { source: 'debug-adapter/main.ts', output: 'debug-adapter.js' },
  { source: 'debug-adapter/symbols/cli/main.ts', output: 'symbols.js' },
  { source: 'extension/language/server/main.ts', output: 'language-server.js' },
];

/** Every `x.worker.ts` in these becomes `dist/x.worker.js`. */
const WORKER_FOLDERS = ['vmm-core', 'debug-adapter', 'extension'];

/**
 * What a worker's bundle leaves out, though its sources import it: a vCPU's thread builds the registers of
 * devices only, and each of up to 64 would hold what plans them and what moves their data. What is loaded
 * later (DeviceClass.load) is left out as well: such a thread has no event loop in which it could be.
 */
const LEFT_OUT_OF_VCPUS = /\/vmm-core\/(config|backends)\/|\/devices\/virtio\/queueServer\.ts$/;
/** The table of what a network interface offers to its driver, by the kind of its link. */
const STAYS = /\/backends\/net\/linkKind\.ts$/;
const LEFT_OUT: Readonly<Record<string, RegExp>> = {
  'vmm-core/vcpu/vcpu.worker.ts': LEFT_OUT_OF_VCPUS,
};

/** iced-x86 opens its wasm beside the file that runs. */
const ASSETS = [{ source: 'node_modules/iced-x86/iced_x86_bg.wasm', output: 'iced_x86_bg.wasm' }];

async function main(args: readonly string[]): Promise<number> {
  await mkdir(DIST, { recursive: true });
  await Promise.all(ASSETS.map((it) => copyFile(path.join(ROOT, it.source), path.join(DIST, it.output))));
  const present = [...BUNDLES, ...(await workerBundles())].filter(isPresent);
  const contexts = await Promise.all(present.map((it) => bundleContext(it)));
  if (args.includes('--watch')) {
    await Promise.all(contexts.map((it) => it.watch()));
    return 0; // esbuild keeps the process alive
  }
  // A bundle that does not build must not keep the others from being built; esbuild has printed the errors.
  const results = await Promise.allSettled(contexts.map((it) => it.rebuild()));
  await Promise.all(contexts.map((it) => it.dispose()));
  return results.some((it) => it.status === 'rejected') ? 1 : 0;
}

function isPresent(bundle: Bundle): boolean {
  if (existsSync(path.join(ROOT, bundle.source))) return true;
  console.log(`dist/${bundle.output}: skipped, there is no ${bundle.source}`);
  return false;
}

async function workerBundles(): Promise<Bundle[]> {
  const listings = await Promise.all(
    WORKER_FOLDERS.map(async (folder) => {
      const files = await readdir(path.join(ROOT, folder), { recursive: true });
      return files.filter((it) => it.endsWith('.worker.ts')).map((it) => path.join(folder, it));
    }),
  );
  return listings.flat().map((source) => ({ source, output: path.basename(source).replace(/\.ts$/, '.js') }));
}

async function bundleContext(bundle: Bundle): Promise<BuildContext> {
  const options = bundleOptions(bundle.source, path.join(DIST, bundle.output), {
    shebang: await lacksShebang(bundle),
  });
  const plugins = [writeByRename(bundle), ...leaveOut(LEFT_OUT[bundle.source])];
  return context({ ...options, write: false, plugins });
}

async function lacksShebang(bundle: Bundle): Promise<boolean> {
  if (bundle.executable !== true) return false;
  return !(await readFile(path.join(ROOT, bundle.source), 'utf8')).startsWith('#!');
}

/** What a bundle has in place of a file that is left out: whoever uses an export of it hears so. */
const STUB = `module.exports = Object.create(new Proxy({}, {
  get(_, name) {
    if (name === '__esModule') return true;
    throw new Error(String(name) + ' is left out of this bundle: see scripts/build.ts');
  },
}));`;

function leaveOut(files: RegExp | undefined): Plugin[] {
  if (files === undefined) return [];
  const setup: Plugin['setup'] = (build) => {
    build.onLoad({ filter: files }, ({ path: file }) => (STAYS.test(file) ? undefined : { contents: STUB }));
    build.onResolve({ filter: /^\./ }, ({ kind, path: file }) =>
      kind === 'dynamic-import' ? { path: file, external: true } : undefined,
    );
  };
  return [{ name: 'leave-out', setup }];
}

function writeByRename(bundle: Bundle): Plugin {
  return {
    name: 'write-by-rename',
    setup(build) {
      build.onEnd(async (result) => {
        if (result.errors.length > 0) return;
        // The map first: readers of the new code find its map.
        for (const file of [...(result.outputFiles ?? [])].sort((a, b) => b.path.length - a.path.length)) {
          await replaceFile(file, bundle.executable === true && file.path.endsWith('.js'));
        }
        const code = result.outputFiles?.find((it) => it.path.endsWith('.js'));
        console.log(`dist/${bundle.output}: ${((code?.contents.length ?? 0) / 1024).toFixed(0)} KiB`);
      });
    },
  };
}

async function replaceFile(file: OutputFile, executable: boolean): Promise<void> {
  const temporary = `${file.path}.${process.pid}`;
  await writeFile(temporary, file.contents);
  if (executable) await chmod(temporary, 0o755);
  await rename(temporary, file.path);
}

void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
