/** What docs/disks.md shows can be typed as it is. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parseArguments } from '../../vmm-core/cli/arguments.ts';
import { SETTING_OPTIONS, settingInput } from '../../vmm-core/cli/settingFlags.ts';
import { parseVmConfig } from '../../vmm-core/config/parseVmConfig.ts';
import { read } from '../../vmm-core/vmConf/testSupport.ts';
import { inFolder } from '../support/diskFiles.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const MAIN = path.join(ROOT, 'vmm-core/main.ts');
const TSX = pathToFileURL(createRequire(import.meta.filename).resolve('tsx')).href;
const DOCUMENT = readFileSync(path.join(ROOT, 'docs/disks.md'), 'utf8');
const LINES = blocks('sh').flatMap((it) => it.split('\n'));

describe('docs/disks.md', () => {
  it('makes, changes and checks images', () => {
    inFolder((folder) => {
      mkdirSync(path.join(folder, 'runtime'), { mode: 0o700 });
      const lines = LINES.filter((line) => !line.startsWith('vmm run '));
      assert.ok(lines.length > 10);
      for (const line of lines) {
        const needsVm = /^vmm (disk|show) /.test(line);
        const { status, output } = vmm(folder, line);
        assert.equal(status, needsVm ? 1 : 0, `${line}: ${output}`);
        if (needsVm) assert.match(output, /^vmm: no VM is running: start one/);
      }
    });
  });

  it('attaches disks on the command line', () => {
    const lines = LINES.filter((line) => line.startsWith('vmm run '));
    assert.ok(lines.length > 2);
    for (const line of lines) {
      const { values } = parseArguments(wordsOf(line).slice(2), SETTING_OPTIONS, 'run');
      assert.deepEqual(parseVmConfig(settingInput(values)).problems, [], line);
    }
  });

  it('attaches the same in launch.json and vm.conf', () => {
    const [launch = ''] = blocks('json');
    const { type: _, request: __, ...attributes } = JSON.parse(launch) as Record<string, unknown>;
    assert.deepEqual(parseVmConfig(attributes).problems, []);
    const [vmConf = ''] = blocks('vm.conf');
    assert.deepEqual(read(vmConf, 'trapframe').problems, []);
  });
});

function blocks(language: string): string[] {
  const found = DOCUMENT.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)\\n\`\`\`$`, 'gms'));
  return [...found].map(([, text = '']) => text);
}

function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word);
}

function vmm(folder: string, line: string): { status: number | null; output: string } {
  const args = ['--import', TSX, MAIN, ...wordsOf(line).slice(1)];
  const env = { ...process.env, XDG_RUNTIME_DIR: path.join(folder, 'runtime') };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    env,
  });
  return { status, output: `${stdout}${stderr}`.trim() };
}
