import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatConfigFile } from './formatConfigFile.ts';
import { EXAMPLES, meaning, read } from './testSupport.ts';

const format = (text: string): string => formatConfigFile('vm.conf', text).text ?? 'refused';

describe('fmt', () => {
  it('indents by braces, sets one blank between words and keeps one empty line', () => {
    const text =
      '\n\nvm  "a"   {\n\n  memory    1G# big\n\n\n\n interface {  switch s   lladdr }\n disk "x"   \n }\n\n\n';
    assert.equal(
      format(text),
      'vm "a" {\n\tmemory 1G\t# big\n\n\tinterface { switch s lladdr }\n\tdisk "x"\n}\n',
    );
  });

  it('sets macros, commas and joined lines', () => {
    const text = 'a="x"\nb   =y\nvm v{\nallow instance {disk ,memory}\ndisk "p"\\\n   "q"    format raw\n}';
    assert.equal(
      format(text),
      'a = "x"\nb = y\nvm v {\n\tallow instance { disk, memory }\n\tdisk "p" \\\n\t    "q" format raw\n}\n',
    );
  });

  it('leaves alone what a blank would change', () => {
    assert.equal(format('vm 5{ memory 1G }'), 'vm 5{ memory 1G }\n');
    assert.equal(format('d="/x"\nvm v { cdrom $d/b  "c"d }'), 'd = "/x"\nvm v { cdrom $d/b "c"d }\n');
  });

  it('formats a file whose macros are defined where it is included', () => {
    assert.equal(
      format('vm v {\nmemory   $m\ninterfaces   $n\n}'),
      'vm v {\n\tmemory $m\n\tinterfaces $n\n}\n',
    );
  });

  it('refuses a file with syntax errors, and names them', () => {
    const { text, problems } = formatConfigFile('vm.conf', 'vm a\n{ memory 1G }\n');
    assert.equal(text, undefined);
    assert.deepEqual(
      problems.map((it) => it.code),
      ['brace-on-next-line'],
    );
  });

  it('keeps nothing of an empty file', () => assert.equal(format('\n \n'), ''));

  for (const [name, text] of Object.entries(EXAMPLES)) {
    it(`is idempotent and keeps the meaning of ${name}`, () => {
      const once = format(text);
      assert.equal(format(once), once);
      assert.equal(meaning(read(once, 'trapframe').tree), meaning(read(text, 'trapframe').tree));
    });
  }
});
