/** Recorded answers of gdb to `info macros`, and what is compared of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gdbMacros, ownMacros } from './gdbMacros.ts';

/** gdb 13 of a program whose .dwo file imports what it cannot find. */
const WITHOUT = `Defined at macros.c:-1
#define __FILE__ "macros.c"
Defined at macros.c:-1
#define __LINE__ 10
`;

/** As written by a gdb that skips such imports. */
const WITH_OWN = `${WITHOUT}Defined at macros.c:3
#define LIMIT 10
Defined at macros.c:4
#define SQUARE(x) ((x) * (x))
`;

/** As written by a gdb that resolves them. */
const WITH_ALL = `${WITH_OWN}Defined at macros.c:0
-DFROM_COMMAND=7
Defined at macros.h:3
  included at macros.c:2
#define ADD(a, b) ((a) + (b))
`;

test('a gdb that finds no macro of a .dwo file is no basis for comparison', () => {
  assert.equal(ownMacros(gdbMacros(WITHOUT)), undefined);
});

test('a gdb that finds some is compared by those of the file itself', () => {
  const own = { LIMIT: '10', SQUARE: '(x)((x)*(x))' };
  for (const output of [WITH_OWN, WITH_ALL])
    assert.deepEqual(Object.fromEntries(ownMacros(gdbMacros(output)) ?? []), own);
});

test('macros of the command line and with parameters are read as gdb writes them', () => {
  const all = gdbMacros(WITH_ALL);
  assert.equal(all.get('FROM_COMMAND'), '7');
  assert.equal(all.get('ADD'), '(a,b)((a)+(b))');
});
