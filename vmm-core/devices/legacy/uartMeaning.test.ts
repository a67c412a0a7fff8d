import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uartMeaning } from './uartMeaning.ts';

const RESET = { ier: 0, fcr: 0, lcr: 0, mcr: 0, dll: 12, dlm: 0 };

test('the line is shown as people write it', () => {
  assert.equal(uartMeaning({ ...RESET, lcr: 0x03 })['line'], '9600 8N1');
  assert.equal(uartMeaning({ ...RESET, lcr: 0x1e, dll: 1 })['line'], '115200 7E2');
  assert.equal(uartMeaning({ ...RESET, lcr: 0x0c, dll: 0, dlm: 3 })['line'], '150 5O1.5');
  assert.equal(uartMeaning({ ...RESET, dll: 0 })['line'], '? 5N1', 'no divisor');
});

test('FIFO, interrupts and loopback are shown', () => {
  assert.deepEqual(uartMeaning({ ...RESET, ier: 5, fcr: 0xc1, lcr: 3, mcr: 0x10 }), {
    line: '9600 8N1',
    FIFO: 'interrupt at 14 of 16',
    'interrupts enabled': ['received data', 'line status'],
    loopback: true,
  });
  assert.equal(uartMeaning(RESET)['FIFO'], 'off');
});
