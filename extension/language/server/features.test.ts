/**
 * What main.test.ts does not show of the server over stdio: every finding, completions in detail, names,
 * links, layout, fixes.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Diagnostic, LanguageClient, serverCommand } from '../../../test/support/languageServer.ts';

interface Range {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}
interface Edit {
  readonly range: Range;
  readonly newText: string;
}
interface Action {
  readonly title: string;
  readonly edit?: { readonly changes: Changes };
  readonly diagnostics: readonly { readonly code: string }[];
}
type Changes = Readonly<Record<string, readonly Edit[]>>;

const EVERYWHERE: Range = { start: { line: 0, character: 0 }, end: { line: 999, character: 0 } };
const LAYOUT = { options: { tabSize: 8, insertSpaces: false } };

/** Without what this VMM cannot do yet, which changes with it. */
function codesOf(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map((it) => it.code).filter((it) => it !== 'not-supported');
}

describe('the language server, feature by feature', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-features-'));
  let client: LanguageClient;
  let files = 0;

  before(async () => {
    writeFileSync(path.join(folder, 'raw.img'), new Uint8Array(512));
    writeFileSync(path.join(folder, 'copy.img'), 'QFI\xfb', 'latin1');
    writeFileSync(path.join(folder, 'part.conf'), '');
    client = await LanguageClient.start(serverCommand(), folder);
  });
  after(async () => {
    await client.stop();
    rmSync(folder, { recursive: true });
  });

  /** A file of its own with this text, open. */
  const open = async (text: string): Promise<string> => {
    const file = path.join(folder, `${files++}.vm.conf`);
    await client.open(file, text);
    return file;
  };
  const codes = async (text: string): Promise<string[]> =>
    codesOf(await client.diagnostics(await open(text)));
  const applied = (text: string, edits: readonly Edit[]): string => {
    const starts = [0, ...[...text.matchAll(/\n/g)].map((it) => it.index + 1)];
    const offset = ({ line, character }: Range['start']): number => (starts[line] ?? 0) + character;
    return [...edits]
      .sort((a, b) => offset(b.range.start) - offset(a.range.start))
      .reduce(
        (sum, { range, newText }) =>
          sum.slice(0, offset(range.start)) + newText + sum.slice(offset(range.end)),
        text,
      );
  };

  it('finds what vmd -n does not', async () => {
    const text = `vm "late" instance "first" { disk "first.img"
}
vm "late" {
	kernel "no-kernel"
	disk "raw.img" format qcow2
	memory 128G
	cpus 64
	interface tap1 switch "nowhere" lladdr 02:00:00:00:00:01
	allow instance disk
}
vm "late" { disk "raw.img"
}
vm "other" {
	disk "raw.img"
	owner no-such-user:no-such-group
	interface tap1 lladdr 2:0:0:0:0:1
}
`;
    assert.deepEqual(await codes(text), [
      'unknown-parent',
      'disk-missing',
      'file-missing',
      'disk-format',
      ...(totalmem() < 128 * 2 ** 30 ? ['host'] : []),
      ...(availableParallelism() < 64 ? ['host'] : []),
      'unknown-switch',
      'duplicate-vm',
      'unknown-user',
      'unknown-group',
      'reused',
      'reused',
    ]);
  });

  it('refuses extensions when the editor asks for vmd only, and takes it back', async () => {
    const file = await open('vm "a" {\n\tdisk "raw.img"\n\tsev\n\tcpus 1\n}\n');
    const setting = async (openbsd: boolean, wanted: readonly string[]): Promise<void> => {
      const settings = { trapframe: { vmConf: { openbsd } } };
      await client.connection.sendNotification('workspace/didChangeConfiguration', { settings });
      await client.edit(file, '2:0', '2:0', ''); // its answer is that of the new settings
      assert.deepEqual(
        (await client.diagnostics(file)).map((it) => it.code),
        wanted,
      );
    };
    await setting(true, ['extension']);
    await setting(false, ['not-supported']);
  });

  it('completes with snippets, groups after a colon, parents, files and the values of macros', async () => {
    interface Item {
      readonly label: string;
      readonly detail?: string;
      readonly insertTextFormat?: number;
      readonly textEdit: { readonly newText: string };
    }
    const items = async (line: string): Promise<readonly Item[]> => {
      const text = `iso = "/srv/x.iso"\nvm "base" { disk "raw.img"\n}\n${line}`;
      const at = `${text.split('\n').length - 1}:${text.split('\n').at(-1)?.length ?? 0}`;
      return client.request('completion', await open(text), at);
    };
    const labels = async (line: string): Promise<string[]> => (await items(line)).map((it) => it.label);
    const vm = (await items('')).find((it) => it.label === 'vm');
    assert.deepEqual([vm?.insertTextFormat, vm?.textEdit.newText.startsWith('vm "${1:name}" {')], [2, true]);
    assert.ok((await labels('vm b {\n\towner root:')).includes('root:root'));
    assert.ok((await labels('vm b {\n\towner :')).includes(':root'));
    assert.deepEqual(await labels('vm "'), ['base']);
    assert.ok((await labels('include "')).includes('part.conf'));
    assert.equal((await items('vm b {\n\tcdrom $')).find((it) => it.label === '$iso')?.detail, '/srv/x.iso');
    assert.deepEqual(await labels('vm b {\n\tdisk "raw.img" format '), ['raw', 'qcow2', '$iso']);
    assert.deepEqual(await labels('# vm b { me'), []);
  });

  it('renames a VM with its instances, and a macro with its uses', async () => {
    const text = `m = "raw.img"
vm base { disk $m
	allow instance disk
}
vm "base" instance two { disk "part.conf"
	cdrom $m
}
`;
    const file = await open(text);
    const renamed = async (at: string, newName: string): Promise<string> => {
      const { changes } = await client.request<{ changes: Changes }>('rename', file, at, { newName });
      return applied(text, Object.values(changes).flat());
    };
    assert.equal(
      await renamed('1:4', 'core'),
      text.replace('vm base', 'vm core').replace('"base"', '"core"'),
    );
    assert.equal(await renamed('5:8', 'iso'), text.replace('m =', 'iso =').replaceAll('$m', '$iso'));
    await assert.rejects(renamed('5:8', 'net'), /cannot name a macro/);
    const found = await client.request<unknown[]>('references', file, '4:5', {
      context: { includeDeclaration: false },
    });
    assert.equal(found.length, 1);
  });

  it('links to files that are there', async () => {
    const file = await open('include "part.conf"\nvm a {\n\tdisk "raw.img"\n\tcdrom "none.iso"\n}\n');
    const links = await client.request<{ target: string; range: Range }[]>('documentLink', file);
    assert.deepEqual(
      links.map((it) => [path.basename(fileURLToPath(it.target)), it.range.start.line]),
      [
        ['part.conf', 0],
        ['raw.img', 2],
      ],
    );
  });

  it('lays out a range, and the line of a brace when it is typed', async () => {
    const text = 'vm a {\n  disk   "x"\n}\nvm b {\n  disk   "y"\n  }\n';
    const file = await open(text);
    const range = { start: { line: 4, character: 0 }, end: { line: 4, character: 1 } };
    const inRange = await client.request<Edit[]>('rangeFormatting', file, undefined, { range, ...LAYOUT });
    assert.equal(applied(text, inRange), 'vm a {\n  disk   "x"\n}\nvm b {\n\tdisk "y"\n}\n');
    const onType = await client.request<Edit[]>('onTypeFormatting', file, '5:3', { ch: '}', ...LAYOUT });
    assert.equal(applied(text, onType), text.replace('  }', '}'));
  });

  it('colours a range', async () => {
    const file = await open('# one\nvm a {\n\tsev\n}\n# two\n');
    const range = { start: { line: 1, character: 0 }, end: { line: 2, character: 4 } };
    const { data } = await client.request<{ data: number[] }>('semanticTokens/range', file, undefined, {
      range,
    });
    assert.deepEqual(
      Array.from({ length: data.length / 5 }, (_, i) => data[i * 5 + 2]),
      [2, 1, 3],
    );
  });

  const FIXES: Readonly<Record<string, readonly [title: string, text: string, mended: string]>> = {
    'moves the brace': ['Move { to the line above', 'vm a # c\n{\n\tsev\n}\n', 'vm a { # c\n\n\tsev\n}\n'],
    'splits the line': [
      'Put this on a line of its own',
      'vm a {\n\tsev\n\tseves disable\n}\n',
      'vm a {\n\tsev\n\tseves\n\tdisable\n}\n',
    ],
    'quotes a value': [
      'Quote the value',
      'vm a {\n\tcdrom ./x.iso # c\n}\n',
      'vm a {\n\tcdrom "./x.iso" # c\n}\n',
    ],
    'quotes a name': ['Quote the value', 'vm start {\n\tsev\n}\n', 'vm "start" {\n\tsev\n}\n'],
    'adds a switch': [
      'Add switch "lan"',
      'vm a {\n\tinterface switch lan\n}\n',
      'switch "lan" {\n\tinterface bridge0\n}\n\nvm a {\n\tinterface switch lan\n}\n',
    ],
    'closes a block': [
      'Close the block',
      'vm a {\n\tsev\nvm b {\n\tsev\n}\n',
      'vm a {\n\tsev\n}\nvm b {\n\tsev\n}\n',
    ],
    'inserts a comma': [
      'Insert a comma',
      'vm a {\n\tallow instance { disk  memory }\n}\n',
      'vm a {\n\tallow instance { disk,  memory }\n}\n',
    ],
    'takes the size that was meant': [
      'Change to 512M',
      'vm a {\n\tmemory 512MB\n}\n',
      'vm a {\n\tmemory 512M\n}\n',
    ],
    'adds the format that the name of the disk does not tell': [
      'Add format qcow2',
      'vm a {\n\tdisk "copy.img"\n}\n',
      'vm a {\n\tdisk "copy.img" format qcow2\n}\n',
    ],
    'takes the format that the disk has': [
      'Change to raw',
      'vm a {\n\tdisk "raw.img" format qcow2\n}\n',
      'vm a {\n\tdisk "raw.img" format raw\n}\n',
    ],
    'mends line ends': ['Use LF line ends', 'vm a {\r\n\tsev\r\n}\r\n', 'vm a {\n\tsev\n}\n'],
    'removes a macro': ['Remove macro m', 'm = "x"\nvm a {\n\tsev\n}\n', 'vm a {\n\tsev\n}\n'],
  };
  for (const [what, [title, text, mended]] of Object.entries(FIXES)) {
    it(`${what}, and the problem is gone`, async () => {
      const file = await open(text);
      const diagnostics = await client.diagnostics(file);
      const actions = await client.request<Action[]>('codeAction', file, undefined, {
        ...{ range: EVERYWHERE, context: { diagnostics } },
      });
      const action = actions.find((it) => it.title === title);
      assert.equal(applied(text, Object.values(action?.edit?.changes ?? {}).flat()), mended);
      const left = await codes(mended);
      assert.ok(!left.includes(action?.diagnostics[0]?.code ?? ''), left.join());
    });
  }
});
