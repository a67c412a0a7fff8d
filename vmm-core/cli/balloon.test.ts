import assert from 'node:assert/strict';
import { test } from 'node:test';
import { balloonText } from './balloon.ts';

const REPORT = {
  targetBytes: 512 << 20,
  actualBytes: 100 << 20,
  reportedBytes: 0,
  isReady: true,
  statistics: { freeMemory: 64 << 20, majorFaults: 12 },
};

test('vmm balloon prints what was asked for and what was given', () => {
  assert.equal(
    balloonText(REPORT, false),
    'asked for             512 MiB\ngiven                 100 MiB\nreported free so far  0 KiB\n',
  );
});

test('vmm balloon stats adds what the guest says, sizes and counts', () => {
  assert.match(balloonText(REPORT, true), /\nfree memory {11}64 MiB\nmajor faults {10}12\n$/);
});

test('vmm balloon says first that nobody listens', () => {
  const text = balloonText({ ...REPORT, isReady: false }, false);
  assert.match(text, /^the guest has no driver for it that is ready\nasked for /);
});
