/** How the server behaves on its pipes, byte by byte: what a client library would hide. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { serverCommand } from '../../../test/support/languageServer.ts';
import { pathToFileURL } from 'node:url';

interface Answer {
  readonly id?: number | null;
  readonly method?: string;
  readonly result?: unknown;
  readonly params?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

const INITIALIZE = {
  id: 1,
  method: 'initialize',
  params: { capabilities: {}, processId: null, rootUri: null },
};
const SHUTDOWN = { id: 2, method: 'shutdown' };
const EXIT = { method: 'exit' };

function start(t: TestContext): ChildProcessWithoutNullStreams {
  const [command = '', ...args] = serverCommand();
  const child = spawn(command, args);
  t.after(() => child.kill('SIGKILL'));
  child.stderr.resume();
  return child;
}

function frame(message: object, header = 'Content-Length'): string {
  const body = JSON.stringify({ jsonrpc: '2.0', ...message });
  return `${header}: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** Everything that the server answers to these messages, and how it ends. */
async function talk(
  t: TestContext,
  messages: readonly object[],
  header?: string,
): Promise<{ answers: Answer[]; code: number | null }> {
  const child = start(t);
  const out: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stdin.end(messages.map((it) => frame(it, header)).join(''));
  const code = await exitOf(child);
  return { answers: parse(Buffer.concat(out)), code };
}

async function exitOf(child: ChildProcessWithoutNullStreams): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}

async function all(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function parse(bytes: Buffer): Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at < bytes.length;) {
    const body = bytes.indexOf('\r\n\r\n', at) + 4;
    const length = Number(/Content-Length: (\d+)/.exec(bytes.toString('latin1', at, body))?.[1]);
    answers.push(JSON.parse(bytes.toString('utf8', body, body + length)) as Answer);
    at = body + length;
  }
  return answers;
}

describe('the language server', () => {
  it('answers nothing but errors after shutdown, and exits with 0', async (t) => {
    const hover = { id: 3, method: 'textDocument/hover', params: {} };
    const { answers, code } = await talk(t, [INITIALIZE, SHUTDOWN, hover, { ...SHUTDOWN, id: 4 }, EXIT]);
    assert.deepEqual(
      answers.filter((it) => it.id !== 1),
      [
        { jsonrpc: '2.0', id: 2, result: null },
        ...[
          { id: 3, method: 'textDocument/hover' },
          { id: 4, method: 'shutdown' },
        ].map(({ id, method }) => ({
          jsonrpc: '2.0',
          id,
          error: { code: -32600, message: `"${method}" comes after "shutdown": only "exit" may` },
        })),
      ],
    );
    assert.equal(code, 0);
  });

  it('answers nothing but errors before initialize, and initializes once', async (t) => {
    const { answers } = await talk(t, [
      { id: 7, method: 'shutdown' },
      INITIALIZE,
      { ...INITIALIZE, id: 8 },
      EXIT,
    ]);
    assert.deepEqual(
      answers.map(({ id, error }) => [id, error?.code]),
      [
        [7, -32002],
        [1, undefined],
        [8, -32600],
      ],
    );
  });

  it('exits with 1 when the client leaves without shutdown', async (t) => {
    assert.equal((await talk(t, [INITIALIZE, EXIT])).code, 1);
    assert.equal((await talk(t, [INITIALIZE])).code, 1);
  });

  it('knows headers in any case', async (t) => {
    const { answers, code } = await talk(t, [INITIALIZE, SHUTDOWN, EXIT], 'content-length');
    assert.deepEqual([answers.map((it) => it.id), code], [[1, 2], 0]);
  });

  it('answers what is not a message, and goes on', async (t) => {
    for (const [body, code] of [
      ['{nope', -32700],
      ['', -32700],
      ['null', -32600],
      ['[]', -32600],
      ['[{"jsonrpc":"2.0","id":5,"method":"shutdown"}]', -32600],
    ] as const) {
      const child = start(t);
      child.stdin.end(
        `${frame(INITIALIZE)}Content-Length: ${body.length}\r\n\r\n${body}${frame(SHUTDOWN)}${frame(EXIT)}`,
      );
      const [out, exitCode] = await Promise.all([all(child.stdout), exitOf(child)]);
      const answers = parse(out).map(({ id, error }) => [id, error?.code]);
      const others = answers.filter(([id]) => id !== 1);
      assert.deepEqual(
        [others, exitCode],
        [
          [
            [null, code],
            [2, undefined],
          ],
          0,
        ],
        body,
      );
    }
  });

  it('ends with a sentence at a frame that it cannot follow, and keeps nothing of it', async (t) => {
    for (const [header, sentence] of [
      ['Content-Length: -5\r\n\r\n', 'a message without Content-Length: this is not LSP'],
      ['X-Foo: 1\r\n\r\n{}', 'a message without Content-Length: this is not LSP'],
      ['x'.repeat(100_000), 'a message header of more than 4096 bytes: this is not LSP'],
      [
        'Content-Length: 99999999999\r\n\r\nxxx',
        'a message of 99999999999 bytes: at most 67108864 are accepted',
      ],
    ] as const) {
      const [command = '', ...args] = serverCommand();
      const child = spawn(command, args);
      t.after(() => child.kill('SIGKILL'));
      child.stdin.on('error', () => undefined); // it ended before it read
      child.stdin.write(frame(INITIALIZE) + header); // and the client waits for answers
      const [out, error, code] = await Promise.all([all(child.stdout), all(child.stderr), exitOf(child)]);
      assert.deepEqual([parse(out).map(({ id }) => id), code], [[1], 1]);
      assert.equal(error.toString(), `vmm lsp: ${sentence}\n`);
    }
  });

  it('refuses parameters of another shape with a sentence, and a wrong initialize does not count', async (t) => {
    const uri = 'file:///nowhere/vm.conf';
    const document = { textDocument: { uri } };
    const cases: readonly (readonly [object, string])[] = [
      [{ id: 10, method: 'textDocument/hover' }, '"textDocument/hover": "params" must be an object'],
      [
        { id: 11, method: 'textDocument/hover', params: { textDocument: { uri: 5 } } },
        '"textDocument/hover": "params.textDocument.uri" must be a string',
      ],
      [
        { id: 12, method: 'textDocument/hover', params: { textDocument: { uri: 'file:///%zz' } } },
        '"textDocument/hover": "params.textDocument.uri" names no file: file:///%zz',
      ],
      [
        { id: 13, method: 'textDocument/hover', params: { ...document, position: { line: 0 } } },
        '"textDocument/hover": "params.position.character" must be a number',
      ],
      [
        { id: 14, method: 'textDocument/selectionRange', params: { ...document, positions: [null] } },
        '"textDocument/selectionRange": "params.positions[0]" must be an object',
      ],
      [
        { method: 'textDocument/didChange', params: { ...document, contentChanges: [{ text: 7 }] } },
        '"textDocument/didChange": "params.contentChanges[0].text" must be a string',
      ],
    ];
    const wrongFirst = { id: 9, method: 'initialize', params: { capabilities: 5 } };
    const messages = [wrongFirst, INITIALIZE, ...cases.map(([it]) => it), SHUTDOWN, EXIT];
    const { answers, code } = await talk(t, messages);
    assert.equal(code, 0);
    assert.deepEqual(
      answers.map((it) => it.error?.message ?? (it.params as { message?: string } | undefined)?.message),
      [
        '"initialize": "params.capabilities" must be an object',
        undefined,
        ...cases.map(([, it]) => it),
        undefined,
      ],
    );
  });

  it('gives a reader that is slow all answers before it exits', async (t) => {
    const uri = 'file:///nowhere/vm.conf';
    const text = Array.from({ length: 3000 }, (_, i) => `vm "v${i}" {\n\tdisable\n}\n`).join('');
    const open = { textDocument: { uri, languageId: 'vmconf', version: 1, text } };
    const symbols = { id: 3, method: 'textDocument/documentSymbol', params: { textDocument: { uri } } };
    const opened = { method: 'textDocument/didOpen', params: open };
    const child = start(t);
    // Nothing is read until the server has read everything, `exit` included.
    child.stdin.end([INITIALIZE, opened, symbols, SHUTDOWN, EXIT].map((it) => frame(it)).join(''));
    await once(child.stdin, 'finish');
    const out: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    const [code] = (await once(child, 'close')) as [number | null];
    const answers = parse(Buffer.concat(out));
    const found = answers.find((it) => it.id === 3)?.result as unknown[] | undefined;
    assert.deepEqual([found?.length, answers.some((it) => it.id === 2), code], [3000, true, 0]);
  });
});

describe('a vm.conf that names what is not a file', () => {
  it('gets a diagnostic at once, and the server goes on', async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'tf-lsp-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const fifo = path.join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    writeFileSync(path.join(folder, 'large'), '');
    execFileSync('truncate', ['-s', '1T', path.join(folder, 'large')]);
    const lines = ['include "fifo"', 'include "/dev/zero"', 'include "large"', 'include "."'];
    const options = [
      'disk "fifo" format raw',
      'disk "/dev/zero" format qcow2',
      'kernel "fifo"',
      'initrd "/dev/tty"',
    ];
    const text = `${lines.join('\n')}\nvm "a" {\n${options.join('\n')}\n}\n`;
    const uri = pathToFileURL(path.join(folder, 'vm.conf')).href;
    const child = start(t);
    const open = { textDocument: { uri, languageId: 'vmconf', version: 1, text } };
    let out = Buffer.alloc(0);
    const published = new Promise<Answer>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        out = Buffer.concat([out, chunk]);
        if (out.includes('publishDiagnostics') && out.toString().trimEnd().endsWith('}')) {
          const found = parse(out).find((it) => it.method === 'textDocument/publishDiagnostics');
          if (found !== undefined) resolve(found);
        }
      });
    });
    child.stdin.write(frame(INITIALIZE) + frame({ method: 'textDocument/didOpen', params: open }));
    const { diagnostics } = (await published).params as { diagnostics: { code: string; message: string }[] };
    assert.deepEqual(
      diagnostics.filter((it) => it.code !== 'not-supported').map((it) => it.message),
      [
        'cannot read "fifo": it is a FIFO, not a file',
        'cannot read "/dev/zero": it is a device, not a file',
        `cannot read "large": "${path.join(folder, 'large')}" is larger than 16 MiB, the most that is read here`,
        'cannot read ".": it is a directory, not a file',
        '"fifo" is a FIFO, not a file',
        '"/dev/zero" is a device, not a file',
        '"fifo" is a FIFO, not a file',
        '"/dev/tty" is a device, not a file',
      ],
    );
  });
});
