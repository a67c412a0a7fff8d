import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ConfigHost, hostOfTexts } from '../config/configHost.ts';
import { formatConfigFile } from './formatConfigFile.ts';
import { MAX_INCLUDE_DEPTH, MAX_INCLUDED_CHARACTERS, MAX_INCLUDES } from '../config/limits.ts';
import { parseConfigFile } from './parseConfigFile.ts';
import { formatProblem } from './problem.ts';
import { reparse } from './reparse.ts';
import { SourceFile } from './sourceFile.ts';
import { read } from './testSupport.ts';

/** Each file includes the next one 30 times: 30^12 in all. */
function bomb(): Record<string, string> {
  const texts: Record<string, string> = { '12': 'x = "1"\n' };
  for (let i = 0; i < 12; i++) texts[String(i)] = `include "${i + 1}"\n`.repeat(30);
  return texts;
}

function errorsOf(text: string, host: ConfigHost): readonly string[] {
  return read(text, 'trapframe', { host }).errors;
}

describe('includes', () => {
  it('of too many files are reported once, where the root begins to include them', () => {
    const text = 'vm a { disable\n}\ninclude "0"\nvm b { disable\n}\n';
    const { errors, tree } = read(text, 'trapframe', { host: hostOfTexts(bomb()) });
    assert.deepEqual(
      errors.filter((it) => it.includes('include')),
      [`vm.conf:3:9: this includes more than ${MAX_INCLUDES} files: the rest is left out`],
    );
    assert.ok(tree.statements.some(({ node }) => node?.id === 'vm' && node.args['name']?.text === 'b'));
  });

  it('of a lot of text are counted as often as they are included', () => {
    const large = { large: `# ${'x'.repeat(MAX_INCLUDED_CHARACTERS / 4)}\n` };
    const four = 'include "large"\n'.repeat(4);
    assert.deepEqual(errorsOf(four, hostOfTexts(large)), [
      'vm.conf:4:9: this includes more than 4 MiB: the rest is left out',
    ]);
    assert.deepEqual(errorsOf(four.slice(16), hostOfTexts(large)), []);
  });

  it('of includes may nest only so deep', () => {
    const texts: Record<string, string> = {};
    for (let i = 0; i < MAX_INCLUDE_DEPTH + 1; i++) texts[String(i)] = `include "${i + 1}"\n`;
    texts[String(MAX_INCLUDE_DEPTH + 1)] = '# deep\n';
    assert.deepEqual(errorsOf('include "2"\n', hostOfTexts(texts)), []);
    assert.deepEqual(errorsOf('\ninclude "0"\n', hostOfTexts(texts)), [
      'vm.conf:2:9: this includes files that include each other more than 100 deep: the rest is left out',
    ]);
  });

  it('that cannot be read say why when the host knows', () => {
    const host = { ...hostOfTexts({}), whyUnreadable: () => 'it is a FIFO, not a file' };
    assert.deepEqual(errorsOf('include "f"\n', host), [
      'vm.conf:1:9: cannot read "f": it is a FIFO, not a file',
    ]);
  });

  it('beyond the limit are found again after every edit, and are gone once an edit removes them', () => {
    const host = hostOfTexts(bomb());
    const text = 'include "0"\nvm a { disable\n}\n';
    const tree = parseConfigFile(new SourceFile('vm.conf', text), { host });
    const edited = reparse(tree, { start: 15, end: 16, text: 'b' }, { host }).tree;
    assert.ok(edited.isCut);
    const harmless = reparse(edited, { start: 9, end: 10, text: '12' }, { host }).tree;
    assert.equal(harmless.isCut, false);
    assert.deepEqual(
      harmless.statements.flatMap(({ problems }) => problems.map(formatProblem)),
      [],
    );
  });

  it('do not keep a file from being laid out', () => {
    const { text } = formatConfigFile('vm.conf', 'include  "0"\n', hostOfTexts(bomb()));
    assert.equal(text, 'include "0"\n');
  });
});

describe('blocks', () => {
  it('may be nested without end: each is reported, and the stack is not used up', () => {
    const depth = 50_000;
    const { errors } = read('vm "a" {\n'.repeat(depth), 'trapframe');
    assert.equal(errors.filter((it) => it.endsWith('the } that closes this { is missing')).length, depth);
    for (const block of ['interface {', 'allow instance {', 'debug {', 'network user {', '{', 'agentx '])
      assert.ok(read(`vm a {\n${`${block}\n`.repeat(depth / 5)}`, 'trapframe').errors.length > 0, block);
  });

  it('may hold more mistakes than one call has arguments', () => {
    const { errors } = read(`vm a {\n${'memory 1X\n'.repeat(150_000)}}\n`, 'trapframe');
    assert.ok(errors.length > 150_000);
  });
});
