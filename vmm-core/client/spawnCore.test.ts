import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { within } from '../../test/support/deadline.ts';
import { spawnCore } from './spawnCore.ts';

/** A program that stands in for dist/vmm.js. */
function program(t: TestContext, source: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'vmm.js');
  writeFileSync(file, source);
  return file;
}

const READY = `process.stdout.write(JSON.stringify({ socket: '/run/x.sock', args: process.argv.slice(2) }) + '\\n');`;

test('a core is started as `vmm serve` and is ready when it has printed its socket', async (t) => {
  const core = await within(
    spawnCore({
      vmmPath: program(t, `if (process.argv[2] === 'serve') { ${READY} process.stdin.resume(); }`),
    }),
    'a core',
  );
  assert.equal(core.socket, '/run/x.sock');
  core.process.stdin?.end();
  assert.deepEqual(await within(core.exited, 'its end'), { code: 0, signal: null, stderrTail: '' });
});

test('its log arrives line by line, and the last lines explain its end', async (t) => {
  const lines: string[] = [];
  const source = `${READY} for (let i = 0; i < 50; i++) console.error('line ' + i); process.exitCode = 7;`;
  const core = await within(
    spawnCore({ vmmPath: program(t, source), onLog: (line) => lines.push(line) }),
    'a core',
  );
  const { code, signal, stderrTail } = await within(core.exited, 'its end');
  assert.deepEqual({ code, signal }, { code: 7, signal: null });
  assert.equal(stderrTail, Array.from({ length: 20 }, (_, i) => `line ${30 + i}`).join('\n'));
  assert.equal(lines.length, 50);
});

test('a core that ends before it is ready is an error with what it said', async (t) => {
  const vmmPath = program(t, `console.error('vmm: no place for a socket'); process.exitCode = 1;`);
  await assert.rejects(within(spawnCore({ vmmPath }), 'the error'), {
    message: 'vmm-core did not start: vmm: no place for a socket',
  });
});

test('one that says nothing is an error with its exit code', async (t) => {
  const vmmPath = program(t, 'process.exitCode = 3;');
  await assert.rejects(within(spawnCore({ vmmPath }), 'the error'), {
    message: 'vmm-core did not start: exit code 3',
  });
  const killed = program(t, `process.kill(process.pid, 'SIGKILL');`);
  await assert.rejects(within(spawnCore({ vmmPath: killed }), 'the error'), {
    message: 'vmm-core did not start: exit code SIGKILL',
  });
});

test('a program that is not there is an error that names it', async (t) => {
  const vmmPath = `${program(t, '')}.none`;
  await assert.rejects(within(spawnCore({ vmmPath }), 'the error'), (error: Error) => {
    assert.match(error.message, /^vmm-core did not start: /);
    assert.ok(error.message.includes(vmmPath));
    return true;
  });
});

test('a first line that is not JSON is an error, and the program is ended', async (t) => {
  const vmmPath = program(t, `console.log('hello'); process.stdin.resume();`);
  await assert.rejects(within(spawnCore({ vmmPath }), 'the error'), /^Error: vmm-core did not start: /);
});

test('the environment is the one given, and Electron runs it as Node', async (t) => {
  const source = `const { ELECTRON_RUN_AS_NODE, MARK } = process.env;
    process.stdout.write(JSON.stringify({ socket: MARK + ELECTRON_RUN_AS_NODE }) + '\\n');`;
  const core = await within(
    spawnCore({ vmmPath: program(t, source), env: { ...process.env, MARK: 'mark' } }),
    'a core',
  );
  assert.equal(core.socket, 'mark1');
  await within(core.exited, 'its end');
});
