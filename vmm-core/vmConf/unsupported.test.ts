import assert from 'node:assert/strict';
import { it } from 'node:test';
import { checkTree } from './checkTree.ts';
import { hostOfTexts } from '../config/configHost.ts';
import { parseConfigFile } from './parseConfigFile.ts';
import { SourceFile } from './sourceFile.ts';
import type { Dialect } from './syntaxTree.ts';
import { unsupportedSentence } from './unsupported.ts';
import { describedVms } from './describedVms.ts';

const HOST = hostOfTexts({});

/** What is reported where an option is written, and why `vmm run` refuses the VM. */
function parts(
  options: string,
  dialect: Dialect = 'trapframe',
): { written: string[]; refused: readonly string[] } {
  const text = `vm a {\n\tkernel "/k"\n\t${options}\n}\n`;
  const tree = parseConfigFile(new SourceFile('vm.conf', text), { host: HOST, dialect });
  const prefix = unsupportedSentence('a', ['']);
  const found = checkTree(tree, HOST).filter((it) => it.code === 'not-supported');
  for (const it of found) assert.ok(it.severity === 'warning' && it.message.startsWith(prefix));
  const written = found.map((it) => it.message.slice(prefix.length));
  return { written, refused: describedVms(tree, HOST)[0]?.unsupported ?? [] };
}

it('what makes vmm run refuse a VM is reported where it is written, and vice versa', () => {
  const options: Readonly<Record<string, string>> = {
    'firmware bios': 'firmware',
    'boot device disk': 'boot device',
    'interface tap rdomain 3': 'routing domains of interfaces',
    'console agent pty': 'serial pty',
    'gdb socket "/s"': 'gdb socket',
    sev: 'sev',
    seves: 'seves',
    'serial pty': 'serial pty',
    'serial com2 unix "/s"': 'serial unix',
  };
  for (const [option, part] of Object.entries(options))
    assert.deepEqual(parts(option), { written: [part], refused: [part] }, option);
});

it('what is supported is not reported', () => {
  for (const option of [
    'disk "/d"',
    'disk "/d" { readonly }',
    'cdrom "/c"',
    'interfaces 0',
    'interfaces 2',
    'interface tap',
    'interface { switch "uplink" }',
    'local interface',
    'network user',
    'network stream "/s"',
    'network passt',
    'vsock cid 3',
    'balloon',
    'balloon off',
    'guest control on',
    'guest control off',
    'console agent',
    'console agent tty file "/f"',
    'share "/s"',
    'share "/s" tag s writable',
    'serial stdio',
    'serial com2 file "/f"',
    'memory 1G',
    'cpus 2',
    'debug exit',
  ])
    assert.deepEqual(parts(option), { written: [], refused: [] }, option);
});

it('every occurrence is reported, and each part refused once', () => {
  assert.deepEqual(parts('firmware bios\nconsole a pty\nconsole b pty'), {
    written: ['firmware', 'serial pty', 'serial pty'],
    refused: ['firmware', 'serial pty'],
  });
});

it('nothing is reported when the file is checked for OpenBSD', () => {
  assert.deepEqual(parts('sev\ninterface tap group g', 'vmd').written, []);
});
