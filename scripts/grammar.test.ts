import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { GRAMMAR, withExtensionWords } from './grammar.ts';

test('the grammar of vm.conf is what scripts/grammar.ts writes', () => {
  const grammar = readFileSync(GRAMMAR, 'utf8');
  assert.equal(withExtensionWords(grammar), grammar, 'run "npm run generate"');
});
