import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RuntimeDirError } from '../client/runtimeDir.ts';
import { UserError } from '../errors.ts';
import { isForUser, type Options, parseArguments, single } from './arguments.ts';

const OPTIONS: Options = {
  kernel: { type: 'string' },
  memory: { type: 'string' },
  serial: { type: 'string', multiple: true },
  size: { type: 'string', short: 's' },
  wait: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
};

function refusal(...argv: string[]): string {
  try {
    parseArguments(argv, OPTIONS, 'run', 1);
  } catch (error) {
    assert.ok(error instanceof UserError);
    return error.message;
  }
  return assert.fail(`accepted ${argv.join(' ')}`);
}

test('options and positionals are distinguished', () => {
  const { values, positionals } = parseArguments(
    ['name', '--kernel', 'k', '--memory=1G', '--serial', 'a', '--serial', 'b', '--wait', '-h'],
    OPTIONS,
    'run',
    1,
  );
  assert.deepEqual(positionals, ['name']);
  assert.deepEqual({ ...values }, { kernel: 'k', memory: '1G', serial: ['a', 'b'], wait: true, help: true });
  assert.equal(single(values, 'kernel'), 'k');
  assert.equal(single(values, 'serial'), undefined);
  assert.equal(single(values, 'nothing'), undefined);
});

test('what follows -- is a positional', () => {
  assert.deepEqual(parseArguments(['--', '--kernel'], OPTIONS, 'run', 1).positionals, ['--kernel']);
});

test('an unknown option is named, with the one that it resembles and where they are listed', () => {
  assert.equal(
    refusal('--kernle', 'k'),
    '--kernle is not an option (did you mean --kernel?); "vmm run --help" lists them',
  );
  assert.equal(refusal('--frob'), '--frob is not an option; "vmm run --help" lists them');
  assert.equal(refusal('--frob=1'), '--frob is not an option; "vmm run --help" lists them');
  assert.equal(refusal('-x'), '-x is not an option; "vmm run --help" lists them');
  assert.equal(refusal('--constructor'), '--constructor is not an option; "vmm run --help" lists them');
});

test('a missing value is requested, one with a dash is shown as it must be written', () => {
  assert.equal(refusal('--kernel'), '--kernel needs a value; "vmm run --help" lists them');
  assert.equal(
    refusal('--memory', '-5'),
    '--memory needs a value; one that begins with a dash is written --memory=-5; "vmm run --help" lists them',
  );
  for (const flag of ['-s', '--size'])
    assert.equal(refusal(flag), `${flag} needs a value; "vmm run --help" lists them`);
  assert.match(refusal('-s', '-5'), /^-s needs a value; one that begins with a dash is written -s-5;/);
  assert.match(refusal('--size', '-5'), /^--size needs a value; .* is written --size=-5;/);
  assert.deepEqual({ ...parseArguments(['--memory=-5'], OPTIONS, 'run').values }, { memory: '-5' });
});

test('a value for an option that has none is refused in one line', () => {
  assert.match(
    refusal('--wait=yes'),
    /^Option '--wait' does not take an argument; "vmm run --help" lists them$/,
  );
});

test('one argument too many is named', () => {
  assert.equal(refusal('a', 'b'), '"b" is one argument too many; "vmm run --help" shows how to call it');
  assert.throws(() => parseArguments(['a'], OPTIONS, 'status'), {
    message: '"a" is one argument too many; "vmm status --help" shows how to call it',
  });
});

test('errors for users are distinguished from bugs', () => {
  assert.equal(isForUser(new UserError('x')), true);
  assert.equal(isForUser(new RuntimeDirError('x')), true);
  assert.equal(isForUser(new TypeError('x')), false);
  assert.equal(isForUser('x'), false);
});
