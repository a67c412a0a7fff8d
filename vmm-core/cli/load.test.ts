/** `vmm load -n` as a user calls it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { bundled } from '../../scripts/bundle.ts';
import { chooseVm } from './fromFile.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'tf-load-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const result = path.join(directory, name);
  writeFileSync(result, text);
  return result;
}

function vmm(...args: readonly string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bundled('vmm-core/main.ts'), ...args], {
    encoding: 'utf8',
  });
  return { code: status, out: stdout, err: stderr };
}

describe('vmm load -n', () => {
  it('prints every error with its position and exits with 1', () => {
    const it = file('bad.conf', 'vm a {\n\tmemory 1X\n\tspeed 3\n}\n');
    const { code, err } = vmm('load', '-n', it);
    assert.equal(code, 1);
    assert.deepEqual(
      err
        .trimEnd()
        .split('\n')
        .map((line) => line.split(': ')[0]),
      [`${it}:1:4`, `${it}:2:9`, `${it}:3:2`],
    );
  });

  it('refuses extensions and missing disks with --openbsd only, and defines macros', () => {
    const it = file('ext.conf', 'vm a {\n\tcpus $n\n\tdisk "missing.img"\n}\n').trim();
    const fixed = file('ext2.conf', readFileSync(it, 'utf8').replace('$n', '2'));
    assert.deepEqual([vmm('load', '-n', fixed).code, vmm('load', '-n', '--openbsd', fixed).code], [0, 1]);
    assert.match(vmm('load', '-n', '-D', 'n=2', it).err, /configuration OK/);
  });

  it('gives problems and VMs as JSON', () => {
    const it = file('good.conf', 'vm a {\n\tmemory 1G\n\tkernel "k.elf"\n}\n');
    const { code, out } = vmm('load', '-n', '--json', it);
    const { ok, problems, vms } = JSON.parse(out) as {
      ok: boolean;
      problems: unknown[];
      vms: Record<string, unknown>[];
    };
    assert.deepEqual(
      [code, ok, vms[0]?.['kernel'], vms[0]?.['memoryBytes']],
      [0, true, path.join(directory, 'k.elf'), 2 ** 30],
    );
    assert.deepEqual(problems, [
      {
        severity: 'warning',
        code: 'file-missing',
        message: 'there is no file "k.elf"',
        file: it,
        line: 3,
        column: 9,
      },
    ]);
  });

  it('warns of what this VMM cannot do yet in the words of vmm run, and vmd knows no such limit', () => {
    const it = file('todo.conf', 'vm a {\n\tkernel "/dev/null"\n\tsev\n\tseves\n}\n');
    const sentence = (what: string): string => `VM "a" asks for what this VMM cannot do yet: ${what}`;
    const { code, err } = vmm('load', '-n', it);
    assert.equal(code, 0);
    const warnings = err.split('\n').filter((line) => line.includes('cannot do yet'));
    assert.deepEqual(warnings, [
      `${it}:3:2: warning: ${sentence('sev')}`,
      `${it}:4:2: warning: ${sentence('seves')}`,
    ]);
    assert.throws(() => chooseVm(it, 'a'), { message: sentence('sev, seves') });
    assert.doesNotMatch(vmm('load', '-n', '--openbsd', it).err, /cannot do yet/);
  });

  it('says what is missing in one line', () => {
    assert.match(vmm('load', file('x.conf', '')).err, /^vmm: load needs -n.*\n$/);
    assert.match(
      vmm('load', '-n', path.join(directory, 'none')).err,
      /^vmm: cannot read .*: no such file .*\n$/,
    );
    const refusal = 'vmm: cannot read /dev/zero: it is a device, not a file; give the path of a vm.conf\n';
    assert.deepEqual(vmm('load', '-n', '/dev/zero'), { code: 1, out: '', err: refusal });
  });
});

describe('a VM of a vm.conf for vmm run -f', () => {
  const choose = (name: string, text: string, vm?: string): unknown => chooseVm(file(name, text), vm);

  it('is told in one sentence which part is not supported yet', () => {
    const text = 'vm a {\n\tsev\n\tkernel "/dev/null"\n}\n';
    assert.throws(() => choose('disk.conf', text, 'a'), {
      message: 'VM "a" asks for what this VMM cannot do yet: sev',
    });
  });

  it('is named when there are several', () => {
    const text = 'vm a { kernel "/dev/null" }\nvm b { kernel "/dev/null" }\n';
    assert.throws(() => choose('two.conf', text, 'c'), /has no VM "c": there are a, b/);
    assert.throws(() => choose('two.conf', text), /name one of a, b/);
  });

  it('has com1 on the terminal, and its paths start from the file', () => {
    const { config, wait } = chooseVm(file('one.conf', 'vm a {\n\tkernel "k"\n\tdebug wait\n}\n'), undefined);
    assert.deepEqual(
      [config.serial[0], config.kernel, wait],
      [{ kind: 'stdio' }, path.join(directory, 'k'), true],
    );
  });
});
