/** docs/vmm-show.md names the fields that --json prints: no more and no fewer. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const read = (file: string): string => readFileSync(join(import.meta.dirname, '../..', file), 'utf8');

/** Of the interfaces and of the objects in unions, in the sources. */
function fieldsIn(source: string): string[] {
  return [...source.matchAll(/\breadonly (\w+)\??:/g)].map(([, name]) => name ?? '');
}

/** The second cells of the table: words in code that begin a field's explanation. */
function documentedFields(document: string): string[] {
  const cells = [...document.matchAll(/^\| [^|]+ \| (.+) \|$/gm)].map(([, cell]) => cell ?? '');
  return cells.flatMap((cell) => cell.split('; ').flatMap(leadingNames));
}

function leadingNames(clause: string): string[] {
  const [names = ''] = /^(?:`\w+` ?)+/.exec(clause) ?? [];
  return [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name ?? '');
}

test('every field of vmm show --json is documented, and every documented field exists', () => {
  const text = read('vmm-core/cli/showText.ts');
  const shown = text.slice(text.indexOf('export interface Shown'), text.indexOf('interface Row'));
  const protocol = read('vmm-core/protocol/devices.ts');
  const fields = new Set([
    ...fieldsIn(shown),
    ...fieldsIn(protocol.slice(0, protocol.indexOf('export const'))),
  ]);
  assert.deepEqual([...new Set(documentedFields(read('docs/vmm-show.md')))].sort(), [...fields].sort());
});
