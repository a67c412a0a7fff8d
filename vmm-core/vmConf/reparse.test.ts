import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkTree } from './checkTree.ts';
import { hostOfTexts } from '../config/configHost.ts';
import { parseConfigFile } from './parseConfigFile.ts';
import { formatProblem } from './problem.ts';
import { reparse } from './reparse.ts';
import { SourceFile } from './sourceFile.ts';

const options = { host: hostOfTexts({}) };
const TEXT = Array.from({ length: 100 }, (_, i) => `vm v${i} {\n\tkernel d${i}\n}\n`).join('');

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
    assert.deepEqual(checkTree(after, options.host), []);
  });

  it('that opens a string reads to the end', () => {
    const at = TEXT.indexOf('d50');
    const { read } = reparse(tree(), { start: at, end: at, text: '"' }, options);
    assert.ok(read >= 1 && read < 60, String(read));
  });

  it('of a macro reads what uses it, as far as the next definition of the name', () => {
    const vm = (name: string, value: string): string => `vm ${name} { cdrom ${value}\n}\n`;
    const text = `m = "x"\nn = "y"\n${vm('a', '$m')}${vm('b', '$n')}k = $m\n${vm('c', '$k')}m = "z"\n${vm('d', '$m')}`;
    const before = parseConfigFile(new SourceFile('vm.conf', text), options);
    const { tree: after, read } = reparse(before, { start: 5, end: 6, text: 'long' }, options);
    assert.equal(read, 4); // m itself, a, k, c
    const isos = after.statements.flatMap(({ node }) => node?.items.map((it) => it.args['path']?.text) ?? []);
    assert.deepEqual(isos, ['long', 'y', 'long', 'z']);
    assert.equal(after.macros.get('k')?.value, 'long');
  });

  it('that adds an unused macro reads little', () => {
    const { read } = reparse(tree(), { start: 0, end: 0, text: 'm = "x"\n' }, options);
    assert.equal(read, 2);
  });

  it('that changes where statements begin reads everything', () => {
    const before = parseConfigFile(
      new SourceFile('vm.conf', `m = "x"\nvm a { cdrom $m\n}\n${TEXT}`),
      options,
    );
    const { read } = reparse(before, { start: 5, end: 6, text: '{' }, options);
    assert.equal(read, 103);
  });

  it('after an include reads that statement only, and its problems stay in their files', () => {
    const host = hostOfTexts({ 'a.conf': 'vm z { colour red\n}\n' });
    const text = `include "a.conf"\n${TEXT}`;
    const before = parseConfigFile(new SourceFile('vm.conf', text), { host });
    const places = (it: typeof before): string[] => checkTree(it, host).map(formatProblem);
    const expected = places(before);
    const at = text.indexOf('d50');
    const { tree: after, read } = reparse(before, { start: at, end: at, text: 'x' }, { host });
    assert.equal(read, 1);
    assert.deepEqual(places(after), expected);
  });

  it('keeps the findings of statements it does not touch', () => {
    const before = tree();
    checkTree(before, options.host);
    const { findings } = before.statements[10] ?? {};
    const { tree: after } = reparse(
      before,
      { start: TEXT.length, end: TEXT.length, text: 'vm x { }\n' },
      options,
    );
    assert.equal(after.statements[10]?.findings, findings);
  });
});
