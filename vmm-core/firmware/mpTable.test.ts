import assert from 'node:assert/strict';
import { test } from 'node:test';
import { board, ram } from '../../test/support/kernelImages.ts';
import { MpConfigTable, MpFloatingPointer } from '../abi/mpTable.ts';
import { BootArea } from '../boot/bootArea.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { MIB } from '../memory/layout.ts';
import { writeMpTable } from './mpTable.ts';

const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => total + byte, 0) & 0xff;

/** As an operating system finds it (§4): by the signature, on 16-byte boundaries. */
function scan(memory: GuestMemory): number | undefined {
  for (let address = 0xf_0000; address < MIB; address += 16) {
    if (memory.readU32(gpa(address)) === 0x5f504d5f) return address;
  }
  return undefined;
}

function read(cpus: number, area = new BootArea('kernel.elf', [])) {
  const memory = ram(MIB);
  writeMpTable(memory, area, board(cpus));
  const at = scan(memory);
  assert.ok(at !== undefined);
  const pointer = Uint8Array.from(memory.slice(gpa(at), MpFloatingPointer.size));
  const { physptr, length, specification } = MpFloatingPointer.read(new DataView(pointer.buffer));
  const table = Uint8Array.from(memory.slice(gpa(physptr), memory.readU16(gpa(physptr + 4))));
  return { at, pointer, length, specification, table };
}

/** The entries by type: 20 bytes for a processor, 8 for all else (table 4-3). */
function entriesOf(table: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = [];
  for (let at = MpConfigTable.size; at < table.length;) {
    const length = table[at] === 0 ? 20 : 8;
    entries.push(table.subarray(at, at + length));
    at += length;
  }
  return entries;
}

test('the floating pointer leads to a table, both sum to zero (§4.1, §4.2)', () => {
  const { pointer, length, specification, table } = read(1);
  assert.deepEqual([length, specification], [1, 4]);
  assert.equal(sum(pointer), 0);
  assert.equal(sum(table), 0);
  assert.equal(Buffer.from(table.subarray(0, 4)).toString('latin1'), 'PCMP');
  const header = MpConfigTable.read(new DataView(table.buffer));
  assert.equal(header.lapic, 0xfee00000);
  assert.equal(header.oemcount, entriesOf(table).length);
});

test('there is an entry for each CPU, the first being the one that boots, and entries are sorted by type', () => {
  for (const cpus of [1, 2, 64, 255]) {
    const entries = entriesOf(read(cpus).table);
    const types = entries.map((entry) => entry[0] ?? 0);
    assert.deepEqual(
      types,
      types.toSorted((a, b) => a - b),
    );
    const processors = entries.filter(([type]) => type === 0);
    assert.deepEqual(
      processors.map((entry) => entry[1]),
      [...Array(cpus).keys()],
    );
    assert.deepEqual(
      processors.map((entry) => entry[3]),
      [3, ...Array<number>(cpus - 1).fill(1)],
    );
  }
});

test('ISA interrupts reach the IOAPIC input of their number; the SCI is level, active high', () => {
  const interrupts = entriesOf(read(1).table).filter(([type, , , , bus]) => type === 3 && bus === 1);
  const wires = new Map(interrupts.map(([, , flags, , , irq, , input]) => [irq, { flags, input }]));
  assert.deepEqual([...wires.keys()], [0, 1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15]);
  for (const [irq, { flags, input }] of wires) {
    assert.equal(input, irq);
    assert.equal(flags, irq === 9 ? 0b1101 : 0);
  }
});

test('a PCI bus has the number of its configuration space, INTA# of each slot an input, a level (table D-2)', () => {
  const entries = entriesOf(read(1).table);
  const buses = entries
    .filter(([type]) => type === 1)
    .map((entry) => Buffer.from(entry.subarray(1)).toString());
  assert.deepEqual(buses, ['\0PCI   ', '\x01ISA   ']);
  const wires = entries.filter(([type, , , , bus]) => type === 3 && bus === 0);
  assert.equal(wires.length, 31);
  for (const [, , flags, , , source = 0, , input] of wires) {
    assert.deepEqual([source & 3, input, flags], [0, (source >> 2) % 2 === 0 ? 10 : 11, 0b1101]);
  }
});

test('an image over the place it prefers moves the table to where it is still found', () => {
  const { at } = read(4, new BootArea('kernel.elf', [{ address: 0xf_0000, memoryBytes: 0x5000 }]));
  assert.equal(at, 0xf_5000);
});
