import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzDevice } from '../../../test/support/devices.ts';
import * as abi from '../../abi/crtc.ts';
import { StateBlock } from '../../bus/stateBlock.ts';
import { Crtc, crtc as crtcClass } from './crtc.ts';

function newCrtc() {
  const crtc = new Crtc({ state: StateBlock.allocate(crtcClass.state) });
  crtc.reset();
  return {
    crtc,
    get: (index: number): number => {
      crtc.write(abi.CRTC_INDEX, 1, index);
      return crtc.read(abi.CRTC_DATA);
    },
    set: (index: number, value: number): void => {
      crtc.write(abi.CRTC_INDEX, 1, index);
      crtc.write(abi.CRTC_DATA, 1, value);
    },
  };
}

test('after reset it is in text mode 3 with the cursor at the top', () => {
  const { get } = newCrtc();
  // last column; words a row; last line, low bits
  assert.deepEqual([get(1), get(0x13), get(0x12)], [79, 40, 0x8f]);
  assert.deepEqual([get(abi.CRTC_CURSOR_HIGH), get(abi.CRTC_CURSOR_LOW)], [0, 0]);
});

test('index and cursor read back what was written', () => {
  const { crtc, get, set } = newCrtc();
  set(abi.CRTC_CURSOR_HIGH, 0x07);
  set(abi.CRTC_CURSOR_LOW, 0xcf);
  assert.deepEqual([get(abi.CRTC_CURSOR_HIGH), get(abi.CRTC_CURSOR_LOW)], [0x07, 0xcf]);
  assert.equal(crtc.read(abi.CRTC_INDEX), abi.CRTC_CURSOR_LOW);
});

test('registers 0 to 7 are protected by bit 7 of register 0x11, but for the line compare bit', () => {
  const { get, set } = newCrtc();
  set(0, 0x11);
  set(abi.CRTC_OVERFLOW, 0x00);
  assert.deepEqual([get(0), get(abi.CRTC_OVERFLOW)], [0x5f, 0x0f]);
  set(abi.CRTC_V_SYNC_END, 0x0e);
  set(0, 0x11);
  assert.equal(get(0), 0x11);
});

test('registers that do not exist read 0 and take nothing', () => {
  const { get, set } = newCrtc();
  set(abi.CRTC_REGISTERS, 0xff);
  set(0xff, 0xff);
  assert.deepEqual([get(abi.CRTC_REGISTERS), get(0xff)], [0, 0]);
});

test('input status 1 goes into a retrace and out of it again, so that waiting for either ends', () => {
  const { crtc, get, set } = newCrtc();
  const read = (): number => crtc.read(abi.INPUT_STATUS_1);
  const retrace = abi.ST01_V_RETRACE | abi.ST01_DISP_ENABLE;
  assert.deepEqual([read(), read(), read()], [retrace, 0, retrace]);
  set(abi.CRTC_CURSOR_LOW, 0x12);
  crtc.write(abi.INPUT_STATUS_1, 1, 0xff); // feature control, which we do not have
  assert.equal(get(abi.CRTC_CURSOR_LOW), 0x12);
});

test('fuzz: random accesses stay in a byte', () => {
  fuzzDevice(newCrtc().crtc, {
    seed: 3,
    rounds: 5000,
    windowBytes: 7,
    check: (value) => assert.ok(Number.isInteger(value) && value >= 0 && value <= 0xff),
  });
});
