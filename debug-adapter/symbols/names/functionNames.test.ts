import assert from 'node:assert/strict';
import { test } from 'node:test';
import { haveSameParameters, isFunctionNamed, mangledFragment, parseFunctionName } from './functionNames.ts';

function means(text: string, qualified: string, types: readonly string[] = []): boolean {
  const wanted = parseFunctionName(text);
  return isFunctionNamed(wanted, qualified) && haveSameParameters(wanted, types);
}

test('a name means a function with and without its namespaces and template arguments', () => {
  for (const name of ['ns::Box<int, 3>::sum', 'ns::Box<int,3>::sum', 'ns::Box::sum', 'Box::sum', 'sum'])
    assert.ok(means(name, 'ns::Box<int, 3>::sum'), name);
  assert.ok(!means('ox::sum', 'ns::Box<int, 3>::sum'));
  assert.ok(!means('ns::Box<long, 3>::sum', 'ns::Box<int, 3>::sum'));
  assert.ok(!means('other::ns::Box::sum', 'ns::Box<int, 3>::sum'));
  assert.ok(means('twice', 'twice<int>'));
  assert.ok(means('Base::~Base', 'ns::Base::~Base'));
});

test('parameters distinguish overloads, however their types are spelled', () => {
  assert.ok(means('f(char const*, unsigned long)', 'ns::f', ['const char *', 'long unsigned int']));
  assert.ok(means('f()', 'ns::f'));
  assert.ok(means('f(void)', 'ns::f'));
  assert.ok(!means('f(int)', 'ns::f', ['long']));
  assert.ok(!means('f(int)', 'ns::f', ['int', 'int']));
  assert.ok(means('f(std::pair<int, int>, int (*)(int))', 'f', ['std::pair<int, int>', 'int (*)(int)']));
});

test('the parentheses of operator() are its name', () => {
  assert.ok(means('Fn::operator()', 'ns::Fn::operator()', ['int']));
  assert.ok(means('Fn::operator()(int)', 'ns::Fn::operator()', ['int']));
  assert.ok(!means('Fn::operator()(long)', 'ns::Fn::operator()', ['int']));
});

test('the longest plain name is what a mangled name must contain', () => {
  assert.equal(mangledFragment(parseFunctionName('ns::Box<int, 3>::m')), '3Box');
  assert.equal(mangledFragment(parseFunctionName('ns::Base::~Base')), '4Base');
  assert.equal(mangledFragment(parseFunctionName('operator()')), undefined);
});
