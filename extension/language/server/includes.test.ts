/** Files that are included, by two roots and from another folder, as an editor sees them over stdio. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { LanguageClient, serverCommand } from '../../../test/support/languageServer.ts';

interface Place {
  readonly start: { readonly line: number; readonly character: number };
}
interface Change {
  readonly kind?: string;
  readonly oldUri?: string;
  readonly newUri?: string;
  readonly textDocument?: { readonly uri: string };
  readonly edits?: readonly { readonly range: Place; readonly newText: string }[];
}

const FILES = {
  'a.vm.conf': 'include "parts/common.conf"\nvm "a" {\n\tdisable\n\tinterface { switch "lan" }\n}\n',
  'b.vm.conf':
    'f = "parts/common.conf"\ninclude \'parts/\' "common.conf"\nvm "b" {\n\tinterface { switch lan }\n}\n',
  'parts/common.conf': 'include "more.conf"\nswitch "lan" {\n\tinterface bridge0\n}\n',
  'parts/more.conf': 'vm "c" {\n\tdisk "c.img"\n\tcdrom "/srv/x.iso"\n}\n',
  'macro.vm.conf': 'd = "parts/single"\ninclude $d.conf\n',
  'parts/single.conf': '',
  'closed.vm.conf': 'include "parts/boot.conf"\n',
  'parts/boot.conf': 'vm "k" { kernel "single.conf"\n}\n',
};

describe('included files', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tf-includes-'));
  const at = (name: string): string => path.join(folder, name);
  const uri = (name: string): string => pathToFileURL(at(name)).href;
  let client: LanguageClient;

  before(async () => {
    mkdirSync(at('parts'));
    for (const [name, text] of Object.entries(FILES)) writeFileSync(at(name), text);
    client = await LanguageClient.start(serverCommand(), folder);
    await client.open(at('a.vm.conf'), FILES['a.vm.conf']);
    await client.open(at('parts/common.conf'), FILES['parts/common.conf']);
  });
  after(async () => {
    await client.stop();
    rmSync(folder, { recursive: true });
  });

  const relative = (it: string): string => path.relative(folder, fileURLToPath(it));
  const rename = async (file: string, place: string, newName: string): Promise<string[]> => {
    interface Edit {
      readonly documentChanges?: readonly Change[];
      readonly changes?: Readonly<Record<string, NonNullable<Change['edits']>>>;
    }
    const edit = await client.request<Edit>('rename', at(file), place, { newName });
    const changes = Object.entries(edit.changes ?? {}).map(([it, edits]) => ({
      textDocument: { uri: it },
      edits,
    }));
    return described([...changes, ...(edit.documentChanges ?? [])]);
  };
  const described = (changes: readonly Change[]): string[] =>
    changes
      .flatMap(({ kind, oldUri = '', newUri = '', textDocument, edits = [] }) =>
        kind === 'rename'
          ? [`${relative(oldUri)} -> ${relative(newUri)}`]
          : edits.map(
              ({ range, newText }) =>
                `${relative(textDocument?.uri ?? '')}:${range.start.line}:${range.start.character} ${newText}`,
            ),
      )
      .sort();

  it('are renamed in the folder and in every file that includes them', async () => {
    assert.deepEqual(await rename('a.vm.conf', '0:12', 'parts/net.conf'), [
      'a.vm.conf:0:8 "parts/net.conf"',
      'b.vm.conf:1:8 "parts/net.conf"',
      'parts/common.conf -> parts/net.conf',
    ]);
  });

  it('keep what they name when they move to another folder', async () => {
    assert.deepEqual(await rename('parts/common.conf', '0:10', '"../more.conf"'), [
      'parts/common.conf:0:8 "../more.conf"',
      'parts/more.conf -> more.conf',
      'parts/more.conf:1:6 "parts/c.img"',
    ]);
  });

  it('are renamed by the editor: it asks what else to change', async () => {
    const edit = await client.connection.sendRequest<{ documentChanges: readonly Change[] }>(
      'workspace/willRenameFiles',
      { files: [{ oldUri: uri('parts/common.conf'), newUri: uri('common.conf') }] },
    );
    assert.deepEqual(described(edit.documentChanges), [
      'a.vm.conf:0:8 "common.conf"',
      'b.vm.conf:1:8 "common.conf"',
      'parts/common.conf:0:8 "parts/more.conf"',
    ]);
  });

  it('are not renamed over another file, nor where a macro makes the name', async () => {
    await assert.rejects(rename('a.vm.conf', '0:12', 'parts/more.conf'), /is a file .* already/);
    await client.open(at('macro.vm.conf'), FILES['macro.vm.conf']);
    await assert.rejects(
      client.request('prepareRename', at('macro.vm.conf'), '1:12'),
      /comes from a macro: rename it there/,
    );
    await assert.rejects(rename('macro.vm.conf', '1:12', 'other.conf'), /comes from a macro/);
  });

  it('have references: every include of the file', async () => {
    const found = await client.request<{ uri: string; range: Place }[]>(
      'references',
      at('a.vm.conf'),
      '0:12',
      {
        context: { includeDeclaration: true },
      },
    );
    assert.deepEqual(found.map((it) => `${relative(it.uri)}:${it.range.start.line}`).sort(), [
      'a.vm.conf:0',
      'b.vm.conf:1',
    ]);
  });

  it('share their names with every root: a switch is renamed in both', async () => {
    const everywhere = ['a.vm.conf:3:20 "net"', 'b.vm.conf:3:20 net', 'parts/common.conf:1:7 "net"'];
    assert.deepEqual(await rename('parts/common.conf', '1:9', 'net!'), [
      'a.vm.conf:3:20 "net!"',
      'b.vm.conf:3:20 "net!"',
      'parts/common.conf:1:7 "net!"',
    ]);
    assert.deepEqual(
      await rename('a.vm.conf', '3:24', 'wan'),
      everywhere.map((it) => it.replace('net', 'wan')),
    );
  });

  it('run from their root, whether it is open or not', async () => {
    await client.open(at('parts/boot.conf'), FILES['parts/boot.conf']);
    const lenses = await client.request<{ command: { arguments: readonly string[] } }[]>(
      'codeLens',
      at('parts/boot.conf'),
    );
    const [root = '', name] = lenses[0]?.command.arguments ?? [];
    assert.deepEqual([path.basename(root), name], ['closed.vm.conf', 'k']);
    const vms = await client.connection.sendRequest<{ config: { name: string; kernel: string } }[]>(
      'trapframe/vms',
      { uri: pathToFileURL(root).href },
    );
    assert.deepEqual(
      vms.map(({ config }) => [config.name, config.kernel]),
      [['k', at('parts/single.conf')]],
    );
  });
});
