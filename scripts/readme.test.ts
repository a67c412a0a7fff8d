import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { withDiskOptions, withNetworkOptions, withReference } from './readme.ts';

test('the reference in README.md is what the program says (if not: npm run generate)', async () => {
  const readme = await readFile(path.join(import.meta.dirname, '../README.md'), 'utf8');
  assert.equal(readme, await withReference(readme));
});

test('so are the options in docs/disks.md', async () => {
  const document = await readFile(path.join(import.meta.dirname, '../docs/disks.md'), 'utf8');
  assert.equal(document, withDiskOptions(document));
});

test('and those in docs/networks.md', async () => {
  const document = await readFile(path.join(import.meta.dirname, '../docs/networks.md'), 'utf8');
  assert.equal(document, withNetworkOptions(document));
});
