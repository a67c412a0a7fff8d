import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunPage } from '../../test/support/runPage.ts';
import { KVM_EXIT_IO_IN, KVM_EXIT_IO_OUT, KVM_RUN } from '../abi/kvm.ts';

const DATA = 0x1000;

test('an I/O exit tells port, width, repetitions, and where the data is', () => {
  const page = new RunPage();
  const { io } = page.run;
  page.write(KVM_RUN.io_direction, [KVM_EXIT_IO_OUT, 2, 0xf8, 0x03, 3, 0, 0, 0]);
  page.write(KVM_RUN.io_data_offset, [DATA & 0xff, DATA >> 8, 0, 0, 0, 0, 0, 0]);
  page.write(DATA, [1, 2, 3, 4, 5, 6]);
  const { isWrite, port, sizeBytes, count, dataOffset } = io;
  assert.deepEqual(
    { isWrite, port, sizeBytes, count, dataOffset },
    { isWrite: true, port: 0x3f8, sizeBytes: 2, count: 3, dataOffset: DATA },
  );
  assert.deepEqual([...io.bytes.subarray(dataOffset, dataOffset + 6)], [1, 2, 3, 4, 5, 6]);
  page.write(KVM_RUN.io_direction, [KVM_EXIT_IO_IN]);
  assert.equal(io.isWrite, false);
});

test('the data of an MMIO exit is read and answered in place', () => {
  const page = new RunPage();
  const { mmio } = page.run;
  page.write(KVM_RUN.mmio_phys_addr, [0x10, 0, 0xd0, 0xfe, 1, 0, 0, 0]);
  page.write(KVM_RUN.mmio_len, [4, 0, 0, 0, 0]);
  page.write(KVM_RUN.mmio_data, [9, 8, 7, 6]);
  const { isWrite, address, sizeBytes } = mmio;
  assert.deepEqual({ isWrite, address, sizeBytes }, { isWrite: false, address: 0x1_fed0_0010, sizeBytes: 4 });
  assert.deepEqual([...mmio.data], [9, 8, 7, 6, 0, 0, 0, 0]);
  page.write(KVM_RUN.mmio_is_write, [1]);
  assert.equal(mmio.isWrite, true);
});

test('a failed emulation tells the bytes of the instruction if KVM knows them', () => {
  const page = new RunPage();
  const { internalError } = page.run;
  const known = (): number[] => [...(internalError.instruction ?? [])];
  page.write(KVM_RUN.internal_suberror, [1]);
  assert.equal(internalError.suberror, 1);
  page.write(KVM_RUN.emulation_insn_size, [3, 0x0f, 0x0b, 0x90, 0xff]);
  assert.deepEqual(known(), [], 'the flag is not set');
  page.write(KVM_RUN.emulation_flags, [1]);
  assert.deepEqual(known(), [0x0f, 0x0b, 0x90]);
  page.write(KVM_RUN.emulation_insn_size, [0xff]);
  assert.equal(known().length, 15, 'no more than the field holds');
});
