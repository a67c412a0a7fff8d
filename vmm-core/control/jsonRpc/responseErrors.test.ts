import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCodes, ResponseError } from 'vscode-jsonrpc/node';
import { imageEmpty } from '../../boot/bootError.ts';
import { RuntimeDirError } from '../../client/runtimeDir.ts';
import { KvmError, KvmUnavailableError, StateError, UserError } from '../../errors.ts';
import { GuestAddressError } from '../../memory/guestMemory.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { toResponseError } from './responseErrors.ts';

const EINVAL = 22;

const BY_BLAME: readonly (readonly [Error, number, string])[] = [
  [new UserError('say it so'), ErrorCode.User, 'say it so'],
  [imageEmpty('k'), ErrorCode.User, 'kernel image k is empty: build it again'],
  [new RuntimeDirError('no folder'), ErrorCode.User, 'no folder'],
  [new KvmUnavailableError('missing', 'no KVM'), ErrorCode.Host, 'no KVM'],
  [new KvmError('KVM_SET_SREGS', EINVAL), ErrorCode.Host, 'KVM_SET_SREGS failed: EINVAL (invalid argument)'],
  [new StateError('not now'), ErrorCode.State, 'not now'],
  [new GuestAddressError(0x1000, 4), ErrorCode.Address, 'no guest RAM at address 0x1000 length 0x4'],
];

for (const [error, code, message] of BY_BLAME) {
  test(`${error.constructor.name} reaches the client with its own words and code ${code}`, () => {
    const answer = toResponseError(error);
    assert.ok(answer instanceof ResponseError);
    assert.deepEqual({ code: answer.code, message: answer.message }, { code, message });
  });
}

test('a response error is passed on unchanged', () => {
  const answer = new ResponseError<void>(ErrorCode.VersionMismatch, 'versions');
  assert.equal(toResponseError(answer), answer);
});

test('anything else is a bug: an internal error', () => {
  for (const bug of [new TypeError('x is not a function'), 'a string', undefined]) {
    const answer = toResponseError(bug);
    assert.equal(answer.code, ErrorCodes.InternalError);
    assert.match(answer.message, /^internal error: /);
  }
});
