/** The TextMate grammars, run by the engine that VS Code uses. Snapshots: UPDATE_GOLDEN=1 writes them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, it } from 'node:test';
import * as oniguruma from 'vscode-oniguruma';
import * as textmate from 'vscode-textmate';
import { BLOCKS } from '../../vmm-core/config/directive.ts';
import { directive, directivesOf } from '../../vmm-core/vmConf/directives.ts';
import { EXAMPLES } from '../../vmm-core/vmConf/testSupport.ts';
import { KEYWORDS } from '../../vmm-core/vmConf/token.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const GOLDEN = path.join(import.meta.dirname, 'golden');
const GRAMMARS: Readonly<Record<string, string>> = {
  'source.vmconf': 'syntaxes/vmconf.tmLanguage.json',
  'text.guest-log': 'syntaxes/guest-log.tmLanguage.json',
};

const GUEST_LOG = `[    0.000000] Linux version 6.1.0-25-cloud-amd64
<6>[    1.234567][    T1] virtio_blk virtio0: [vda] 20971520 512-byte logical blocks
[    2.000001] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    2.000002] RIP: 0010:vfs_read+0x9b/0x310 [ext4]
[    2.000003] RAX: ffff888003c1a000 RBX: 0000000000000000
[    2.000004] Call Trace:
[    2.000005]  <TASK>
[    2.000006]  ? ksys_read+0x5f/0xe0
[    2.000007] ---[ end trace 0000000000000000 ]---
[    2.000008] Kernel panic - not syncing: Fatal exception
[  OK  ] Started "ssh".
2026-01-02T03:04:05.678Z warning: clock is slow
vio0 at virtio1: address fe:e1:bb:d1:00:01
panic: kernel diagnostic assertion "x" failed
Stopped at      db_enter+0x14:  popq    %rbp
ddb{0}> trace
--- trap (number 6) ---
end of kernel: 0x7f7ffffd0000, count: 8
error: no such device
`;

let registry: textmate.Registry | undefined;

async function grammar(scope: string): Promise<textmate.IGrammar> {
  registry ??= await createRegistry();
  const found = await registry.loadGrammar(scope);
  assert.ok(found);
  return found;
}

async function createRegistry(): Promise<textmate.Registry> {
  const wasm = createRequire(import.meta.filename).resolve('vscode-oniguruma/release/onig.wasm');
  await oniguruma.loadWASM(readFileSync(wasm));
  return new textmate.Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async (scope) => {
      const file = path.join(ROOT, GRAMMARS[scope] ?? '');
      return textmate.parseRawGrammar(readFileSync(file, 'utf8'), file);
    },
  });
}

/** Each line, with the scopes of its parts below it. */
async function snapshot(scope: string, text: string): Promise<string> {
  const it = await grammar(scope);
  let state = textmate.INITIAL;
  const lines: string[] = [];
  for (const line of text.replace(/\n$/, '').split('\n')) {
    const { tokens, ruleStack } = it.tokenizeLine(line, state);
    state = ruleStack;
    lines.push(`>${line}`);
    for (const { startIndex, endIndex, scopes } of tokens) {
      const part = line.slice(startIndex, endIndex);
      if (scopes.length > 1 && part.trim() !== '')
        lines.push(`  ${JSON.stringify(part)} ${scopes.slice(1).join(' ')}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

async function check(name: string, scope: string, text: string): Promise<void> {
  const file = path.join(GOLDEN, `${name}.txt`);
  const found = await snapshot(scope, text);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, found);
  assert.equal(found, existsSync(file) ? readFileSync(file, 'utf8') : '(no snapshot yet: UPDATE_GOLDEN=1)');
}

describe('the grammar of vm.conf', () => {
  for (const [name, text] of Object.entries(EXAMPLES)) {
    it(`colours ${name} as before`, () => check(name, 'source.vmconf', text));
  }

  it('knows every reserved word, and every extension at the beginning of a line', async () => {
    for (const word of KEYWORDS.keys()) {
      assert.match(
        await snapshot('source.vmconf', `x ${word} y`),
        new RegExp(`"${word}" (keyword|constant)`),
        word,
      );
    }
    const extensions = BLOCKS.flatMap((it) => directivesOf(it)).filter(
      (id) => directive(id).isExtension === true && directive(id).block !== 'debug',
    );
    for (const id of extensions) {
      const [word = ''] = directive(id).words;
      assert.match(
        await snapshot('source.vmconf', `\t${word} x`),
        new RegExp(`"${word}" keyword.other.extension`),
        word,
      );
    }
  });

  it('leaves words that only contain a reserved one', async () => {
    assert.doesNotMatch(await snapshot('source.vmconf', 'x /vm/disk memory-x'), /keyword/);
  });

  it('continues a comment over a backslash', async () => {
    assert.match(
      await snapshot('source.vmconf', '# a \\\nvm b\nvm c'),
      />vm b\n {2}"vm b" comment[^\n]*\n>vm c\n {2}"vm" keyword/,
    );
  });
});

describe('the grammar of guest logs', () => {
  it('colours levels, times, addresses, oopses and ddb as before', () =>
    check('guestLog', 'text.guest-log', GUEST_LOG));
});
