import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { KvmError } from '../errors.ts';
import { diskIo, networks } from './hostCheck.ts';

const { EACCES, EINVAL, ENOENT, EPERM } = constants.errno;
const refusal = (errno: number) => new KvmError('io_uring_setup', errno);

test('io_uring for disks is as it should be, and needs no words', () => {
  assert.deepEqual(diskIo({ kind: 'uring', refused: [] }), {
    id: 'diskIo',
    title: 'Disk I/O',
    status: 'ok',
    detail: 'by io_uring',
  });
});

test('an older kernel has mapped rings, which are as good', () => {
  const { status, detail, cure } = diskIo({
    kind: 'uring-mapped',
    refused: [{ kind: 'uring', error: refusal(EINVAL) }],
  });
  assert.equal(status, 'ok');
  assert.match(detail, /mapped rings: this kernel does not have it \(io_uring_setup failed: EINVAL/);
  assert.equal(cure, undefined);
});

test('where io_uring is switched off, what switches it on is said', () => {
  const error = refusal(EPERM);
  const { status, detail, cure } = diskIo({
    kind: 'poll',
    refused: [
      { kind: 'uring', error },
      { kind: 'uring-mapped', error },
    ],
  });
  assert.equal(status, 'warning');
  assert.match(detail, /without io_uring, .*: this host forbids it/);
  assert.match(cure ?? '', /kernel\.io_uring_disabled=0/);
});

test('who has asked for the slow way is told of that alone', () => {
  assert.equal(diskIo({ kind: 'poll', refused: [] }).cure, 'unset TRAPFRAME_IO');
});

test('a network needs nothing of the host; what taps and vhost lack is told', () => {
  assert.equal(networks(0, 0).detail, '"user" and switches always; taps too; "vhost" works');
  const { status, detail } = networks(0, -ENOENT);
  assert.equal(status, 'ok');
  assert.match(
    detail,
    /; taps too; no "vhost": this host has no \/dev\/vhost-net: "sudo modprobe vhost_net"/,
  );
  assert.match(networks(-EACCES, 0).detail, /; no taps: \/dev\/net\/tun may not be opened: "sudo chmod 666/);
});
