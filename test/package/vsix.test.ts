/**
 * The VSIX a user installs: builds without a warning, contains what it must and no more, and runs where it
 * is unpacked.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { unzip } from '../support/unzip.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const MAX_VSIX_BYTES = 4 * 1024 * 1024;
const execFileAsync = promisify(execFile);

interface Manifest {
  readonly version: string;
  readonly main: string;
  readonly bin: Readonly<Record<string, string>>;
}

describe('the VSIX', () => {
  let directory: string;
  let archive: Buffer;
  let files: Map<string, Buffer>;
  let output: string;
  /** Where it is unpacked: away from the repository's node_modules. */
  let installed: string;
  let manifest: Manifest;

  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'tf-vsix-'));
    const vsix = path.join(directory, 'trapframe.vsix');
    const vsce = path.join(ROOT, 'node_modules/.bin/vsce');
    // dist/ is there already: the suite needs the build.
    const args = ['package', '--out', vsix, '--allow-missing-repository', '--no-rewrite-relative-links'];
    const { stdout, stderr } = await execFileAsync(vsce, args, { cwd: ROOT });
    output = `${stdout}${stderr}`;
    archive = await readFile(vsix);
    files = unzip(archive);
    for (const [name, bytes] of files) {
      await mkdir(path.join(directory, path.dirname(name)), { recursive: true });
      await writeFile(path.join(directory, name), bytes);
    }
    installed = path.join(directory, 'extension');
    manifest = JSON.parse(await readFile(path.join(installed, 'package.json'), 'utf8')) as Manifest;
  });

  after(() => rm(directory, { recursive: true, force: true }));

  it('is packed without a warning', () => {
    assert.doesNotMatch(output, /warning/i);
  });

  it('holds what the manifest and its readers name', () => {
    const needed = [
      path.posix.join('.', manifest.main.endsWith('.js') ? manifest.main : `${manifest.main}.js`),
      ...Object.values(manifest.bin),
      'dist/vmm-main.js',
      'dist/vcpu.worker.js',
      'dist/symbolIndexer.worker.js',
      'dist/debug-adapter.js',
      'dist/iced_x86_bg.wasm',
      'node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node',
    ];
    const missing = needed.filter((it) => !existsSync(path.join(installed, it)));
    assert.deepEqual(missing, []);
    // vsce renames these.
    for (const name of ['readme.md', 'changelog.md', 'LICENSE.txt'])
      assert.ok(files.has(`extension/${name}`), name);
  });

  it('holds every image that README.md shows', async () => {
    const readme = await readFile(path.join(installed, 'readme.md'), 'utf8');
    const images = [...readme.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(([, target]) => target ?? '');
    const missing = images.filter((it) => !existsSync(path.join(installed, it)));
    assert.deepEqual(missing, []);
  });

  it('holds no sources, tests, maps or other platforms', () => {
    const surplus = [...files.keys()].filter((it) => /\.(ts|map|o)$|\/(test|bench|scripts)\//.test(it));
    assert.deepEqual(surplus, []);
    const native = [...files.keys()].filter((it) => it.endsWith('.node'));
    assert.equal(native.length, 1);
    assert.ok(archive.length < MAX_VSIX_BYTES, `${archive.length} bytes`);
  });

  it('runs vmm from where it is unpacked', async () => {
    const vmm = path.join(installed, manifest.bin['vmm'] ?? '');
    const { stdout } = await execFileAsync(process.execPath, [vmm, '--version']);
    assert.match(stdout, new RegExp(`\\b${manifest.version.replaceAll('.', '\\.')}\\b`));
  });

  it('loads koffi from where it is unpacked', async () => {
    const code =
      'process.stdout.write(String(require("koffi").load(null).func("int getpid()")() === process.pid))';
    const { stdout } = await execFileAsync(process.execPath, ['-e', code], {
      cwd: path.join(installed, 'dist'),
    });
    assert.equal(stdout, 'true');
  });

  it('answers the first DAP request from where it is unpacked', async () => {
    const adapter = spawn(process.execPath, [path.join(installed, 'dist/debug-adapter.js')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const request = JSON.stringify({
      seq: 1,
      type: 'request',
      command: 'initialize',
      arguments: { adapterID: 'vmm', linesStartAt1: true, columnsStartAt1: true, pathFormat: 'path' },
    });
    adapter.stdin.write(`Content-Length: ${request.length}\r\n\r\n${request}`);
    try {
      let answer = '';
      for await (const chunk of adapter.stdout) {
        answer += String(chunk);
        if (answer.includes('"command":"initialize"')) break;
      }
      assert.match(answer, /"success":true/);
    } finally {
      adapter.kill('SIGKILL');
      if (adapter.exitCode === null && adapter.signalCode === null) await once(adapter, 'exit');
    }
  });
});
