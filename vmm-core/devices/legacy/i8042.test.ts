import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecordedIrq, RecordedPower, fuzzDevice } from '../../../test/support/devices.ts';
import * as abi from '../../abi/i8042.ts';
import { StateBlock } from '../../bus/stateBlock.ts';
import { log } from '../../log.ts';
import { I8042, i8042 as i8042Class } from './i8042.ts';

log.setLevel('error'); // guests are made to misbehave here

function newController() {
  const irq = new RecordedIrq();
  const power = new RecordedPower();
  const i8042 = new I8042({ state: StateBlock.allocate(i8042Class.state), irq, power });
  i8042.reset();
  const status = (): number => i8042.read(abi.I8042_STATUS, 1);
  return {
    i8042,
    irq,
    power,
    status,
    command: (value: number): void => i8042.write(abi.I8042_COMMAND, 1, value),
    data: (value: number): void => i8042.write(abi.I8042_DATA, 1, value),
    /** Everything the output buffer gives. */
    drain: (): number[] => {
      const bytes: number[] = [];
      while ((status() & abi.I8042_STR_OBF) !== 0 && bytes.length < 100)
        bytes.push(i8042.read(abi.I8042_DATA, 1));
      return bytes;
    },
  };
}

for (const command of [0xfe, 0xf0, 0xfc]) {
  test(`command ${command.toString(16)} pulses the reset line`, () => {
    const { command: send, power } = newController();
    send(command);
    assert.deepEqual(power.events, ['reset i8042']);
  });
}

test('a pulse that leaves bit 0 alone resets nothing', () => {
  const { command, power } = newController();
  command(0xff);
  command(0xf1);
  assert.deepEqual(power.events, []);
});

test('clearing bit 0 of the output port resets, A20 is kept', () => {
  const { command, data, power, drain } = newController();
  command(abi.I8042_CMD_WRITE_OUTPUT_PORT);
  data(0xdd); // A20 off
  command(abi.I8042_CMD_READ_OUTPUT_PORT);
  assert.deepEqual(drain(), [abi.I8042_OUTPUT_PORT_RUN]);
  command(abi.I8042_CMD_A20_ENABLE);
  command(abi.I8042_CMD_READ_OUTPUT_PORT);
  assert.deepEqual(drain(), [abi.I8042_OUTPUT_PORT_RUN | abi.I8042_OUTPUT_PORT_A20]);
  assert.deepEqual(power.events, []);
  command(abi.I8042_CMD_WRITE_OUTPUT_PORT);
  data(0x02);
  assert.deepEqual(power.events, ['reset i8042']);
});

test('the input buffer is never full, the keyboard never locked, and CMDDAT tells the last write', () => {
  const { status, command, data } = newController();
  command(abi.I8042_CMD_KBD_ENABLE);
  assert.equal(status(), abi.I8042_STR_KEYLOCK | abi.I8042_STR_SYS | abi.I8042_STR_CMDDAT);
  data(abi.KBD_CMD_ECHO);
  assert.equal(status(), abi.I8042_STR_KEYLOCK | abi.I8042_STR_SYS | abi.I8042_STR_OBF);
});

test('self test and keyboard interface test pass', () => {
  const { command, drain } = newController();
  command(abi.I8042_CMD_CTL_TEST);
  assert.deepEqual(drain(), [0x55]);
  command(abi.I8042_CMD_KBD_TEST);
  assert.deepEqual(drain(), [0x00]);
});

test('the command byte reads back as written, RAM bytes too', () => {
  const { command, data, drain } = newController();
  command(abi.I8042_CMD_WRITE_RAM);
  data(0x74);
  command(abi.I8042_CMD_WRITE_RAM + 5);
  data(0xa5);
  command(abi.I8042_CMD_READ_RAM);
  assert.deepEqual(drain(), [0x74]);
  command(abi.I8042_CMD_READ_RAM + 5);
  assert.deepEqual(drain(), [0xa5]);
});

test('enable and disable commands show in the command byte', () => {
  const { command, drain } = newController();
  const ctr = (): number => (command(abi.I8042_CMD_READ_RAM), drain()[0] ?? -1);
  command(abi.I8042_CMD_KBD_DISABLE);
  command(abi.I8042_CMD_AUX_ENABLE);
  assert.equal(ctr() & (abi.I8042_CTR_KBDDIS | abi.I8042_CTR_AUXDIS), abi.I8042_CTR_KBDDIS);
  command(abi.I8042_CMD_KBD_ENABLE);
  command(abi.I8042_CMD_AUX_DISABLE);
  assert.equal(ctr() & (abi.I8042_CTR_KBDDIS | abi.I8042_CTR_AUXDIS), abi.I8042_CTR_AUXDIS);
});

test('no mouse: AUX_LOOP answers as keyboard data, AUX_TEST fails (Linux gives up without a time-out)', () => {
  const { command, data, status, drain } = newController();
  command(abi.I8042_CMD_AUX_LOOP);
  data(0x5a);
  assert.equal(status() & (abi.I8042_STR_OBF | abi.I8042_STR_AUXDATA), abi.I8042_STR_OBF);
  command(abi.I8042_CMD_AUX_TEST); // without reading the echo, as Linux does
  const answers = drain();
  assert.equal(answers.length, 1);
  assert.ok(![0x00, 0xfa, 0xff].includes(answers[0] ?? 0));
  command(abi.I8042_CMD_AUX_SEND);
  data(0xf2);
  assert.deepEqual(drain(), []);
});

test('the keyboard identifies itself, translated when the controller translates', () => {
  const { command, data, drain } = newController();
  data(abi.KBD_CMD_GETID);
  assert.deepEqual(drain(), [abi.KBD_RET_ACK, 0xab, 0x41]);
  command(abi.I8042_CMD_WRITE_RAM);
  data(abi.I8042_CTR_KBDINT);
  data(abi.KBD_CMD_GETID);
  assert.deepEqual(drain(), [abi.KBD_RET_ACK, 0xab, 0x83]);
});

test('keyboard commands are acknowledged, parameters too, unknown ones refused', () => {
  const { data, drain } = newController();
  data(abi.KBD_CMD_RESET_BAT);
  assert.deepEqual(drain(), [0xfa, 0xaa]);
  for (const value of [
    abi.KBD_CMD_SETLEDS,
    0x07,
    abi.KBD_CMD_SETREP,
    0x00,
    abi.KBD_CMD_ENABLE,
    abi.KBD_CMD_RESET_DIS,
    0xfa,
  ]) {
    data(value);
    assert.deepEqual(drain(), [0xfa], value.toString(16));
  }
  data(abi.KBD_CMD_ECHO);
  assert.deepEqual(drain(), [0xee]);
  data(abi.KBD_CMD_RESEND);
  assert.deepEqual(drain(), [0xee]);
  data(0x12);
  assert.deepEqual(drain(), [abi.KBD_RET_NAK]);
  data(abi.KBD_CMD_SSCANSET);
  data(1);
  data(abi.KBD_CMD_SSCANSET);
  data(0);
  assert.deepEqual(drain(), [0xfa, 0xfa, 0xfa, 0xfa, 1]);
});

test('IRQ 1 rises for each byte while enabled, and not while disabled', () => {
  const { command, data, drain, irq } = newController();
  data(abi.KBD_CMD_GETID);
  assert.equal(irq.asserted, true);
  assert.equal(drain().length, 3);
  assert.equal(irq.edges, 3);
  assert.equal(irq.asserted, false);
  command(abi.I8042_CMD_WRITE_RAM);
  data(abi.I8042_CTR_XLATE);
  data(abi.KBD_CMD_ECHO);
  assert.equal(irq.asserted, false);
  command(abi.I8042_CMD_WRITE_RAM);
  data(abi.I8042_CTR_XLATE | abi.I8042_CTR_KBDINT);
  assert.equal(irq.asserted, true);
});

test('a disabled keyboard keeps its bytes, and the controller still answers', () => {
  const { command, data, drain } = newController();
  data(abi.KBD_CMD_ECHO);
  command(abi.I8042_CMD_KBD_DISABLE);
  assert.deepEqual(drain(), []);
  command(abi.I8042_CMD_CTL_TEST);
  assert.deepEqual(drain(), [0x55]);
  command(abi.I8042_CMD_KBD_ENABLE);
  assert.deepEqual(drain(), [abi.KBD_CMD_ECHO]);
});

test('fuzz: random accesses never throw, stay in a byte, and the output buffer can always be drained', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { i8042, drain, command, irq } = newController();
    fuzzDevice(i8042, {
      seed,
      rounds: 3000,
      windowBytes: 5,
      check: (value) => assert.ok(Number.isInteger(value) && value >= 0 && value <= 0xff),
    });
    command(abi.I8042_CMD_KBD_ENABLE);
    assert.ok(drain().length <= 17);
    assert.equal(irq.asserted, false);
  }
});
