import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FunctionType, type PointerType, type Type, VOID, typeName } from './type.ts';
import { describe } from './typeDescription.ts';

function pointerTo(target: Type): PointerType {
  return { kind: 'pointer', sigil: '*', sizeBytes: 8, target };
}

test('a function type whose parameters double at every level has a name of bounded length', () => {
  let type: Type = VOID;
  for (let level = 0; level < 50; level++) {
    const parameters: Type[] = [pointerTo(type), pointerTo(type)];
    type = { kind: 'function', result: VOID, parameters, variadic: false, prototyped: true };
  }
  const name = typeName(type);
  assert.ok(name.length < 100_000, `${name.length} characters`);
  assert.match(name, /\.\.\./);
});

test('types that lead to themselves have names and descriptions', () => {
  const endless = { kind: 'pointer', sigil: '*', sizeBytes: 8 } as {
    -readonly [K in keyof PointerType]: PointerType[K];
  };
  endless.target = endless;
  assert.match(typeName(endless), /\.\.\./);
  const owner: Type = { kind: 'memberPointer', sizeBytes: 8, target: VOID, owner: VOID };
  (owner as { owner: Type }).owner = owner;
  assert.match(typeName(owner), /\.\.\./);
  const self: FunctionType = {
    kind: 'function',
    result: VOID,
    parameters: [],
    variadic: false,
    prototyped: true,
  };
  (self as { parameters: readonly Type[] }).parameters = [pointerTo(self), pointerTo(self), pointerTo(self)];
  assert.ok(typeName(self).length < 100_000);
  const struct: Type = {
    kind: 'struct',
    keyword: 'struct',
    name: 's',
    needsKeyword: true,
    sizeBytes: 8,
    incomplete: false,
    members: [{ name: 'm', type: endless, offsetBytes: 0, bits: undefined, isBase: false }],
  };
  assert.match(describe(struct, true), /^struct s \{\n.*\.\.\.;\n\}/);
});
