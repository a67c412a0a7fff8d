import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  board,
  bzImage,
  elfImage,
  multibootElf,
  pvhImage,
  ram,
  request,
  SPIN,
} from '../../test/support/kernelImages.ts';
import { BootArea } from '../boot/bootArea.ts';
import { loadKernel } from '../machine/loadKernel.ts';
import { type GuestMemory, gpa } from '../memory/guestMemory.ts';
import { MIB, ramRanges } from '../memory/layout.ts';
import { E820_RESERVED } from '../abi/e820.ts';
import { writeAcpiTables } from './acpi.ts';
import { device, integer, interrupt, memory32Fixed, name, resourceTemplate, string } from './aml.ts';
import { e820Map } from './e820.ts';

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0) & 0xff;
}

function text(bytes: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length));
}

/** All tables by signature, found as an operating system finds them: RSDP, XSDT, FADT, DSDT and FACS. */
function tablesOf(memory: GuestMemory, rsdp: number): Map<string, Uint8Array> {
  const at = (address: number) => {
    const bytes = memory.slice(gpa(address), memory.readU32(gpa(address + 4)));
    return [text(bytes, 0, 4), Uint8Array.from(bytes)] as const;
  };
  const xsdtAddress = Number(memory.readU64(gpa(rsdp + 24)));
  const [, xsdt] = at(xsdtAddress);
  const tables = new Map([at(xsdtAddress), at(memory.readU32(gpa(rsdp + 16)))]);
  const pointers = new DataView(xsdt.buffer);
  for (let offset = 36; offset < xsdt.length; offset += 8) {
    const [signature, bytes] = at(Number(pointers.getBigUint64(offset, true)));
    tables.set(signature, bytes);
  }
  const fadt = tables.get('FACP');
  assert.ok(fadt);
  const view = new DataView(fadt.buffer);
  for (const address of [view.getUint32(36, true), view.getUint32(40, true)]) tables.set(...at(address));
  return tables;
}

function build(cpus = 1): Map<string, Uint8Array> {
  const memory = ram(MIB);
  return tablesOf(memory, writeAcpiTables(memory, new BootArea('kernel.elf', []), board(cpus)));
}

function view(tables: Map<string, Uint8Array>, signature: string): DataView {
  const bytes = tables.get(signature);
  assert.ok(bytes, `no ${signature}`);
  return new DataView(bytes.buffer);
}

test('the RSDP is found on a 16-byte boundary between 0xe0000 and 0xfffff, both checksums right (§5.2.5)', () => {
  const memory = ram(MIB);
  const returned = writeAcpiTables(memory, new BootArea('kernel.elf', []), board());
  const found: number[] = [];
  for (let address = 0xe0000; address < 0x100000; address += 16) {
    const bytes = memory.slice(gpa(address), 36 <= 0x100000 - address ? 36 : 16);
    if (text(bytes, 0, 8) === 'RSD PTR ') found.push(address);
  }
  assert.deepEqual(found, [returned]);
  const rsdp = memory.slice(gpa(returned), 36);
  assert.equal(sum(rsdp.subarray(0, 20)), 0);
  assert.equal(sum(rsdp), 0);
  assert.equal(rsdp[15], 2);
});

test('every table but the FACS has a checksum that makes its bytes add up to zero (§5.2.6)', () => {
  const tables = build(64);
  assert.deepEqual([...tables.keys()].toSorted(), ['APIC', 'DSDT', 'FACP', 'FACS', 'MCFG', 'RSDT', 'XSDT']);
  for (const [signature, bytes] of tables) {
    if (signature !== 'FACS') assert.equal(sum(bytes), 0, signature);
  }
});

test('the RSDT names the same tables as the XSDT', () => {
  const tables = build();
  const rsdt = view(tables, 'RSDT');
  const xsdt = view(tables, 'XSDT');
  assert.equal((rsdt.byteLength - 36) / 4, (xsdt.byteLength - 36) / 8);
  for (let index = 0; 36 + 4 * index < rsdt.byteLength; index++) {
    assert.equal(BigInt(rsdt.getUint32(36 + 4 * index, true)), xsdt.getBigUint64(36 + 8 * index, true));
  }
});

test('the FACS is aligned to 64 bytes (§5.2.10)', () => {
  assert.equal(view(build(), 'FACP').getUint32(36, true) % 64, 0);
});

test('the FADT gives the PM1 and timer ports, SCI 9 and the reset register, in both forms (§5.2.9)', () => {
  const fadt = view(build(), 'FACP');
  assert.equal(fadt.byteLength, 276);
  assert.equal(fadt.getUint16(46, true), 9);
  for (const [short, gas, port] of [
    [56, 148, 0x600],
    [64, 172, 0x604],
    [76, 208, 0x608],
  ] as const) {
    assert.equal(fadt.getUint32(short, true), port);
    assert.equal(fadt.getUint8(gas), 1); // system I/O
    assert.equal(fadt.getBigUint64(gas + 4, true), BigInt(port));
  }
  assert.equal(fadt.getBigUint64(120, true), 0xcf9n);
  assert.equal(fadt.getUint8(128), 6);
});

test('ACPI mode is always on: there is no SMI command port (§5.2.9)', () => {
  assert.equal(view(build(), 'FACP').getUint32(48, true), 0);
});

test('the FADT says legacy devices, an 8042, no VGA; reset register, 32-bit timer; not hardware-reduced', () => {
  const fadt = view(build(), 'FACP');
  assert.equal(fadt.getUint16(109, true), 0b111);
  const flags = fadt.getUint32(112, true);
  assert.ok((flags & (1 << 10)) !== 0, 'RESET_REG_SUP');
  assert.ok((flags & (1 << 8)) !== 0, 'TMR_VAL_EXT');
  assert.ok((flags & (1 << 20)) === 0, 'HW_REDUCED_ACPI');
  assert.ok((flags & (1 << 4)) === 0, 'PWR_BUTTON: 0 means the fixed-feature button');
});

test('the MCFG has one segment with one bus, in memory that e820 and PNP0C02 reserve (PCI Firmware §4.1.2)', () => {
  const mcfg = view(build(), 'MCFG');
  assert.equal(mcfg.byteLength, 44 + 16);
  assert.equal(mcfg.getBigUint64(44, true), 0xe000_0000n);
  assert.deepEqual([mcfg.getUint16(52, true), mcfg.getUint8(54), mcfg.getUint8(55)], [0, 0, 0]);
  const reserved = e820Map(ramRanges(MIB), board()).filter(({ type }) => type === E820_RESERVED);
  assert.ok(reserved.some(({ address, sizeBytes }) => address === 0xe000_0000 && sizeBytes === MIB));
});

interface MadtEntry {
  readonly type: number;
  readonly bytes: Uint8Array;
}

function madtEntries(cpus: number): MadtEntry[] {
  const madt = build(cpus).get('APIC');
  assert.ok(madt);
  const entries: MadtEntry[] = [];
  for (let at = 44; at < madt.length; at += madt[at + 1] ?? assert.fail()) {
    entries.push({ type: madt[at] ?? -1, bytes: madt.subarray(at, at + (madt[at + 1] ?? 0)) });
  }
  return entries;
}

test('the MADT has one enabled local APIC per CPU, ids from 0 (§5.2.12.2)', () => {
  for (const cpus of [1, 2, 64]) {
    const apics = madtEntries(cpus).filter(({ type }) => type === 0);
    assert.deepEqual(
      apics.map(({ bytes }) => [...bytes]),
      Array.from({ length: cpus }, (_, id) => [0, 8, id, id, 1, 0, 0, 0]),
    );
  }
});

test('the MADT has the IOAPIC, SCI and PCI interrupts as level and active high, no override for the timer', () => {
  const entries = madtEntries(1);
  const ofType = (wanted: number) =>
    entries.filter(({ type }) => type === wanted).map(({ bytes }) => [...bytes]);
  assert.deepEqual(ofType(1), [[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]]);
  const level = (irq: number) => [2, 10, 0, irq, irq, 0, 0, 0, 0x0d, 0];
  assert.deepEqual(ofType(2), [10, 11, 9].map(level));
});

test('every protocol puts the tables into RAM', () => {
  for (const image of [bzImage(), elfImage(), pvhImage(), multibootElf()]) {
    const memory = ram();
    loadKernel(request(image, { memory, cpus: 3 }));
    assert.equal(
      tablesOf(memory, 0xe0000)
        .get('APIC')
        ?.filter((byte) => byte === 8).length,
      3,
    );
  }
  const memory = ram();
  loadKernel(request(SPIN, { memory, protocol: 'flat' }));
  assert.ok(tablesOf(memory, 0xe0000).has('DSDT'));
});

test('iasl disassembles all tables without a complaint and compiles the DSDT back', (t) => {
  if (spawnSync('iasl', ['-v']).error !== undefined) return t.skip('iasl is not installed (acpica-tools)');
  const folder = mkdtempSync(join(tmpdir(), 'acpi-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const virtio = device(
    'V000',
    name('_HID', string('LNRO0005')),
    name('_UID', integer(0)),
    name('_CRS', resourceTemplate(memory32Fixed(0xd0000000, 0x1000), interrupt(5))),
  );
  const memory = ram(MIB);
  const tables = tablesOf(
    memory,
    writeAcpiTables(memory, new BootArea('kernel.elf', []), {
      cpus: 4,
      chips: [...board().chips, { busTerms: [virtio] }],
    }),
  );
  const iasl = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('iasl', args, { cwd: folder, encoding: 'utf8' });
    const output = `${stdout}${stderr}`;
    assert.equal(status, 0, output);
    return output;
  };
  for (const [signature, bytes] of tables) {
    writeFileSync(join(folder, `${signature}.dat`), bytes);
    assert.doesNotMatch(iasl('-d', `${signature}.dat`), /warning|error|invalid|incorrect/i, signature);
    if (signature === 'DSDT') continue;
    // The disassembler marks what it does not like inside its listing.
    assert.doesNotMatch(
      readFileSync(join(folder, `${signature}.dsl`), 'utf8'),
      /unknown|invalid/i,
      signature,
    );
  }
  assert.match(iasl('DSDT.dsl'), /0 Errors, 0 Warnings, 0 Remarks/);
  const source = readFileSync(join(folder, 'DSDT.dsl'), 'utf8');
  for (const expected of [
    /_S5.*System State/,
    /Device \(COM4\)/,
    /PNP0B00/,
    /PNP0303/,
    /PNP0100/,
    /LNRO0005/,
    /QEMU0001/,
    /PNP0A03/,
    /0x1000, .*Range Minimum[^]*0xFFFF, .*Range Maximum/,
    /0xC0000000, .*Range Minimum[^]*0xCFFFFFFF, .*Range Maximum/,
    /Memory32Fixed \(ReadWrite,\s*0xE0000000,/,
    /0x0001FFFF,\s*Zero,\s*Zero,\s*0x0B/,
  ]) {
    assert.match(source, expected);
  }
});
