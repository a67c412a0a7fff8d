import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enclosingScopes, scopeOfName, splitPath, templateSpellings } from './qualifiedNames.ts';

test('a path splits at the colons outside brackets', () => {
  assert.deepEqual(splitPath('a::Box<b::C, 3>::size'), ['a', 'Box<b::C, 3>', 'size']);
  assert.deepEqual(splitPath('X::operator<'), ['X', 'operator<']);
  assert.deepEqual(splitPath('f(a::b)::Local'), ['f(a::b)', 'Local']);
  assert.deepEqual(splitPath('<a::B as c::D>::run'), ['<a::B as c::D>', 'run']);
  assert.equal(scopeOfName('a::Box<b::C>'), 'a');
  assert.equal(scopeOfName('main'), undefined);
});

test('the scopes around a name are tried from the inside out', () => {
  assert.deepEqual(enclosingScopes('a::b'), ['a::b::', 'a::', '']);
  assert.deepEqual(enclosingScopes(undefined), ['']);
});

test('template arguments are spelled as gcc and as clang record them', () => {
  assert.deepEqual(templateSpellings('Box<int,3>'), ['Box<int,3>', 'Box<int, 3>']);
  const spellings = templateSpellings('A<unsigned long,A<const char*>>');
  assert.ok(spellings.includes('A<long unsigned int, A<char const*> >'), 'gcc 12');
  assert.ok(spellings.includes('A<unsigned long, A<const char *> >'), 'clang 14');
  assert.ok(spellings.includes('A<unsigned long, A<const char *>>'), 'clang 15');
  assert.deepEqual(templateSpellings('plain'), ['plain']);
});
