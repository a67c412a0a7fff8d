import assert from 'node:assert/strict';
import { test } from 'node:test';
import { baseName, commonTail, joinPath, normalizePath, pathMatch } from './sourcePath.ts';

test('names are joined with their directory unless they are absolute', () => {
  assert.equal(joinPath('/build', 'a.c'), '/build/a.c');
  assert.equal(joinPath('/build', '/usr/a.c'), '/usr/a.c');
  assert.equal(joinPath('', 'a.c'), 'a.c');
  assert.equal(joinPath('C:\\build', 'src\\a.c'), 'C:/build/src/a.c');
  assert.equal(joinPath('/build', 'C:\\a.c'), 'C:/a.c');
});

test('dots and doubled separators are resolved, leading dots of relative paths stay', () => {
  assert.equal(normalizePath('/a/./b//c/../d'), '/a/b/d');
  assert.equal(normalizePath('../../x/../y'), '../../y');
  assert.equal(normalizePath('/..'), '/');
  assert.equal(normalizePath('/a/b'), '/a/b');
  assert.equal(normalizePath('/a/b/'), '/a/b');
  assert.equal(normalizePath('a/..b/c..'), 'a/..b/c..');
});

test('paths match when one is the tail of the other on a component boundary', () => {
  assert.equal(pathMatch('/a/b/c.c', '/a/b/c.c'), 3);
  assert.equal(pathMatch('/a/b/c.c', 'b/c.c'), 2);
  assert.equal(pathMatch('b/c.c', '/a/b/c.c'), 2);
  assert.equal(pathMatch('/a/xb/c.c', 'b/c.c'), 0);
  assert.equal(pathMatch('/a/c.c', ''), 0);
  assert.equal(commonTail('/x/fs/read.c', '/y/fs/read.c'), 2);
  assert.equal(commonTail('a', 'a'), 1);
  assert.equal(baseName('C:\\x\\y.c'), 'y.c');
  assert.equal(baseName('/x/y.c'), 'y.c');
});
