/** The server as an editor sees it, over stdio. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Diagnostic, LanguageClient, serverCommand } from '../../../test/support/languageServer.ts';

interface Item {
  readonly label: string;
  readonly textEdit: { readonly newText: string };
}
interface Edit {
  readonly range: unknown;
  readonly newText: string;
}
interface Action {
  readonly title: string;
  readonly edit?: { readonly changes: Readonly<Record<string, readonly Edit[]>> };
  readonly command?: { readonly command: string; readonly arguments: readonly unknown[] };
}

const TEXT = `include "switches.conf"
mem = "1G"
vm "one" {
	memory $mem
	disk "one.img"
	interface { switch "uplink" rdomain 1 }
}
`;
const SWITCHES = 'switch "uplink" {\n\tinterface bridge0\n}\n';

/** Without what this VMM cannot do yet, which changes with it. */
function codesOf(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map((it) => it.code).filter((it) => it !== 'not-supported');
}

describe('the language server', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-lsp-'));
  const file = path.join(folder, 'vm.conf');
  const switches = path.join(folder, 'switches.conf');
  let client: LanguageClient;

  before(async () => {
    writeFileSync(file, TEXT);
    writeFileSync(switches, SWITCHES);
    client = await LanguageClient.start(serverCommand(), folder);
    await client.open(file, TEXT);
  });
  after(async () => {
    await client.stop();
    rmSync(folder, { recursive: true });
  });

  const codes = async (): Promise<string[]> => codesOf(await client.diagnostics(file));
  /** Types text into line 6, before the closing brace, asks, and undoes it. */
  const typed = async <T>(text: string, ask: (at: string) => Promise<T>): Promise<T> => {
    await client.edit(file, '6:0', '6:0', `${text}\n`);
    const lines = text.split('\n');
    const result = await ask(`${5 + lines.length}:${lines.at(-1)?.length ?? 0}`);
    await client.edit(file, '6:0', `${6 + lines.length}:0`, '');
    return result;
  };
  const labels = (text: string): Promise<string[]> =>
    typed(text, async (at) => (await client.request<Item[]>('completion', file, at)).map((it) => it.label));
  const actions = (text: string): Promise<Action[]> =>
    typed(text, (at) => {
      const line = Number(at.split(':')[0]);
      const range = {
        start: { line: line - text.split('\n').length + 1, character: 0 },
        end: { line: line + 1, character: 0 },
      };
      return client.request<Action[]>('codeAction', file, undefined, { range, context: { diagnostics: [] } });
    });
  const titles = async (text: string): Promise<string[]> => (await actions(text)).map((it) => it.title);

  it('reports what vmd -n checks and what it misses', async () => {
    assert.deepEqual(await codes(), ['disk-missing']);
    await typed('\tmemory 2G\n\tinterface switch nope', async () => {
      assert.deepEqual(await codes(), ['disk-missing', 'repeated', 'unknown-switch']);
    });
    assert.deepEqual(await codes(), ['disk-missing']);
  });

  it('completes options, words, values, switches, macros and files in context', async () => {
    assert.ok((await labels('\tme')).includes('memory'));
    assert.ok(!(await labels('\tme')).includes('vm'));
    assert.deepEqual(
      (await labels('\tboot device ')).filter((it) => !it.startsWith('$')),
      ['cdrom', 'disk', 'net'],
    );
    assert.ok((await labels('\tmemory ')).includes('512M'));
    assert.ok((await labels('\tmemory $')).includes('$mem'));
    assert.deepEqual(await labels('\tinterface { switch "'), ['uplink']);
    assert.ok((await labels('\tinterface {\n\t\tlo')).includes('locked lladdr'));
    assert.ok((await labels('\tinterface {\n\t\tm')).includes('mtu'));
    assert.ok((await labels('\tinterface tap0 ')).includes('lladdr'));
    assert.ok(!(await labels('\tinterface tap0 ')).includes('mtu'));
    assert.ok((await labels('\tnetwork user {\n\t\tf')).includes('forward'));
    assert.ok((await labels('\tcdrom "')).includes('switches.conf'));
    assert.ok((await labels('\tdisk "a" ')).includes('format'));
    assert.ok((await labels('\tallow instance { disk, ')).includes('memory'));
    assert.ok((await labels('\towner ')).includes('root'));
    assert.ok((await labels('\tdebug ')).includes('breakpoints'));
  });

  it('shows the manual on hover, and what a macro and a size are', async () => {
    const hover = async (at: string): Promise<string> =>
      (await client.request<{ contents: { value: string } }>('hover', file, at)).contents.value;
    assert.match(await hover('3:2'), /`memory` \*size\*/);
    assert.match(await hover('3:9'), /`\$mem` = `1G`/);
    assert.match(await hover('2:5'), /VM `one`/);
  });

  it('shows the form of a directive, and by hand what a block allows', async () => {
    interface Help {
      readonly signatures: readonly { readonly label: string }[];
    }
    const label = (text: string, triggerKind: number): Promise<string | undefined> =>
      typed(text, async (at) => {
        const help = await client.request<Help | null>('signatureHelp', file, at, {
          context: { triggerKind },
        });
        return help?.signatures[0]?.label;
      });
    assert.equal(await label('\tdisk ', 2), 'disk path [format (raw | qcow2)] [{ … }]');
    assert.equal(await label('\t', 2), undefined);
    assert.match((await label('\tinterface {\n\t\t', 1)) ?? '', /^interface: switch \| group/);
  });

  it('goes to definitions, in other files too', async () => {
    const places = async (at: string): Promise<string[]> =>
      (
        await client.request<{ uri: string; range: { start: { line: number } } }[]>('definition', file, at)
      ).map((it) => `${path.basename(fileURLToPath(it.uri))}:${it.range.start.line}`);
    assert.deepEqual(await places('5:22'), ['switches.conf:0']);
    assert.deepEqual(await places('3:10'), ['vm.conf:1']);
    assert.deepEqual(await places('0:12'), ['switches.conf:0']);
  });

  it('renames a switch in two files', async () => {
    const { changes } = await client.request<{ changes: Record<string, Edit[]> }>('rename', file, '5:22', {
      newName: 'lan',
    });
    const edits = Object.entries(changes).map(([uri, list]) => [
      path.basename(uri),
      list.map((it) => it.newText),
    ]);
    assert.deepEqual(edits.sort(), [
      ['switches.conf', ['"lan"']],
      ['vm.conf', ['"lan"']],
    ]);
  });

  it('sees an included file as part of its root', async () => {
    await client.open(switches, SWITCHES);
    assert.deepEqual(await client.diagnostics(switches), []);
    const found = await client.request<unknown[]>('references', switches, '0:9', {
      context: { includeDeclaration: true },
    });
    assert.equal(found.length, 2);
    await client.edit(switches, '0:8', '0:14', 'other');
    assert.deepEqual(await client.diagnostics(switches), []);
    assert.ok((await until(codes, (it) => it.includes('unknown-switch'))).includes('unknown-switch'));
    await client.edit(switches, '0:8', '0:13', 'uplink');
    assert.deepEqual(await until(codes, (it) => !it.includes('unknown-switch')), ['disk-missing']);
  });

  it('outlines, folds and grows selections', async () => {
    const symbols = await client.request<{ name: string; children: unknown[] }[]>('documentSymbol', file);
    assert.deepEqual(
      symbols.map((it) => [it.name, it.children.length]),
      [
        ['switches.conf', 0],
        ['mem', 0],
        ['one', 3],
      ],
    );
    assert.deepEqual(await client.request('foldingRange', file), [{ startLine: 2, endLine: 5 }]);
    interface Selection {
      readonly parent?: Selection;
    }
    const [selection] = await client.request<Selection[]>('selectionRange', file, undefined, {
      positions: [{ line: 3, character: 9 }],
    });
    let depth = 0;
    for (let it = selection; it !== undefined; it = it.parent) depth++;
    assert.equal(depth, 5);
    const all = await client.connection.sendRequest<{ name: string }[]>('workspace/symbol', { query: 'upl' });
    assert.deepEqual(
      all.map((it) => it.name),
      ['uplink'],
    );
  });

  it('colours, hints and offers to run', async () => {
    const { data } = await client.request<{ data: number[] }>('semanticTokens/full', file);
    assert.deepEqual(data.slice(0, 5), [0, 0, 7, 0, 0]);
    const range = { start: { line: 0, character: 0 }, end: { line: 99, character: 0 } };
    const hints = await client.request<{ label: string }[]>('inlayHint', file, undefined, { range });
    assert.deepEqual(
      hints.map((it) => it.label),
      ['1G', '1073741824 bytes'],
    );
    const lenses = await client.request<{ command: { title: string; arguments: unknown[] } }[]>(
      'codeLens',
      file,
    );
    assert.deepEqual(
      lenses.map((it) => it.command.title),
      ['Run', 'Debug', 'Console'],
    );
    assert.deepEqual(lenses[0]?.command.arguments, [file, 'one']);
  });

  it('formats: whole, and the line a brace was typed on', async () => {
    const options = { tabSize: 8, insertSpaces: false };
    const edits = await typed('disable', () =>
      client.request<Edit[]>('formatting', file, undefined, { options }),
    );
    assert.deepEqual(
      edits.map((it) => it.newText),
      ['\t'],
    );
    const onType = await typed('   disable', (at) =>
      client.request<Edit[]>('onTypeFormatting', file, at, { options, ch: '\n' }),
    );
    assert.deepEqual(
      onType.map((it) => it.newText),
      ['\t'],
    );
  });

  it('offers a fix for what has one', async () => {
    assert.ok((await titles('\tmemroy 1G')).includes('Change to memory'));
    assert.ok((await titles('\tcdrom ./x.iso')).includes('Quote the value'));
    assert.ok((await titles('\tinterface switch nope')).includes('Add switch "nope"'));
    assert.ok((await titles('\tdisable disk "x"')).length > 0);
    const brace = await actions('}\nvm two # why\n{\n\tdisable');
    const edits = Object.values(
      brace.find((it) => it.title.startsWith('Move {'))?.edit?.changes ?? {},
    ).flat();
    assert.deepEqual(
      edits.map(({ range, newText }) => [JSON.stringify(range), newText]),
      [
        ['{"start":{"line":7,"character":6},"end":{"line":7,"character":6}}', ' {'],
        ['{"start":{"line":8,"character":0},"end":{"line":8,"character":1}}', ''],
      ],
    );
    assert.ok((await titles('\tinterface up, down')).includes('Remove the comma'));
  });

  it('creates a missing disk', async () => {
    const range = { start: { line: 4, character: 0 }, end: { line: 4, character: 20 } };
    const found = await client.request<Action[]>('codeAction', file, undefined, {
      range,
      context: { diagnostics: [] },
    });
    const command = found.find((it) => it.command !== undefined)?.command;
    await client.connection.sendRequest('workspace/executeCommand', command);
    assert.equal(statSync(path.join(folder, 'one.img')).size, 10 * 2 ** 30);
    assert.deepEqual(await until(codes, (it) => it.length === 0), []);
  });

  it('remarks on what this VMM cannot do yet, where it is written', async () => {
    const found = (await client.diagnostics(file)).filter((it) => it.code === 'not-supported');
    assert.deepEqual(
      found.map(({ message, severity, range }) => [range.start.line, severity, message]),
      [[5, 3, 'VM "one" asks for what this VMM cannot do yet: routing domains of interfaces']],
    );
  });

  it('gives the VMs of a file without errors', async () => {
    const uri = `file://${file}`;
    const vms = await client.connection.sendRequest<{ config: { name: string; memoryBytes: number } }[]>(
      'trapframe/vms',
      { uri },
    );
    assert.deepEqual(
      vms.map((it) => [it.config.name, it.config.memoryBytes]),
      [['one', 2 ** 30]],
    );
  });

  /** Diagnostics of other files arrive at any time. */
  async function until(
    ask: () => Promise<string[]>,
    isRight: (codes: readonly string[]) => boolean,
  ): Promise<string[]> {
    for (let i = 0; i < 400; i++) {
      const found = await ask();
      if (isRight(found)) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return ask();
  }
});
