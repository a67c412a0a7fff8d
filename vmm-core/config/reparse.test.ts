import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkConfig } from './checkConfig.ts';
import { hostOfTexts } from './configHost.ts';
import { parseConfigFile } from './parse.ts';
import { reparse } from './reparse.ts';
import { SourceFile } from './sourceFile.ts';

const options = { host: hostOfTexts({}) };
const TEXT = Array.from({ length: 100 }, (_, i) => `vm v${i} {\n\tdisk d${i}\n}\n`).join('');

describe('an edit', () => {
  const tree = () => parseConfigFile(new SourceFile('vm.conf', TEXT), options);

  it('inside one statement reads that statement only', () => {
    const before = tree();
    const kept = before.statements[80];
    const at = TEXT.indexOf('d50');
    const { tree: after, read } = reparse(before, { start: at, end: at, text: 'long/' }, options);
    assert.equal(read, 1);
    assert.equal(after.statements[80], kept);
    assert.equal(after.statements[80]?.node?.first.start, after.root.text.indexOf('vm v80'));
    assert.deepEqual(checkConfig(after, options.host), []);
  });

  it('that opens a string reads to the end', () => {
    const at = TEXT.indexOf('d50');
    const { read } = reparse(tree(), { start: at, end: at, text: '"' }, options);
    assert.ok(read >= 1 && read < 60, String(read));
  });

  it('that adds a macro reads everything', () => {
    const { read } = reparse(tree(), { start: 0, end: 0, text: 'm = "x"\n' }, options);
    assert.equal(read, 102);
  });

  it('keeps the findings of statements it does not touch', () => {
    const before = tree();
    checkConfig(before, options.host);
    const { findings } = before.statements[10] ?? {};
    const { tree: after } = reparse(
      before,
      { start: TEXT.length, end: TEXT.length, text: 'vm x { }\n' },
      options,
    );
    assert.equal(after.statements[10]?.findings, findings);
  });
});
