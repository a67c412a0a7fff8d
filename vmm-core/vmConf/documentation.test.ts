import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { BLOCKS } from '../config/directive.ts';
import { directive, type DirectiveId, directivesOf } from './directives.ts';
import {
  documentedBlocks,
  hoverText,
  MANUAL_EXAMPLE,
  MANUAL_FILE,
  manualMarkdown,
  manualPage,
} from './documentation.ts';
import { read } from './testSupport.ts';
import { KEYWORDS } from './token.ts';

const ROOT = path.join(import.meta.dirname, '../..');

/** These reserved words appear in no rule. */
const WITHIN_RULES = [
  'add',
  'id',
  'size',
  'delay',
  'parallel',
  'prefix',
  'format',
  'net',
  'device',
  'start',
  'inet6',
  'instance',
  'lladdr',
  'owner',
];

describe('the manual', () => {
  for (const [file, text] of [
    [MANUAL_FILE, manualMarkdown()],
    ['docs/vm.conf.5', manualPage()],
  ] as const) {
    it(`${file} matches the table (UPDATE_GOLDEN=1 writes it)`, () => {
      if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path.join(ROOT, file), text);
      assert.equal(readFileSync(path.join(ROOT, file), 'utf8'), text);
    });
  }

  it('knows every reserved word', () => {
    const words = new Set(BLOCKS.flatMap((it) => directivesOf(it)).flatMap((id) => [...directive(id).words]));
    const unknown = [...KEYWORDS.keys()].filter((it) => !words.has(it) && !WITHIN_RULES.includes(it));
    assert.deepEqual(unknown, []);
  });

  it('shows every block but that of agentx, whose settings are on one line', () => {
    assert.deepEqual(
      BLOCKS.filter((it) => !documentedBlocks().includes(it)),
      ['agentx'],
    );
  });

  it('has an example without problems', () => {
    assert.deepEqual(read(MANUAL_EXAMPLE, 'trapframe').problems, []);
  });

  it('marks extensions as such', () => {
    assert.match(hoverText('cpus' satisfies DirectiveId), /extension/);
    assert.doesNotMatch(hoverText('memory'), /extension/);
  });
});
