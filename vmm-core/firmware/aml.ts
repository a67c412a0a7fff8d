/**
 * The few ACPI Machine Language terms that a table of fixed devices needs, each a function from values to
 * bytes. ACPI 6.5 §20 (encoding), §6.4 (resource descriptors). `iasl -d` turns the result back into source;
 * acpi.test.ts does.
 */

// §20.3, table 20.2: opcodes.
const ZERO_OP = 0x00;
const ONE_OP = 0x01;
const NAME_OP = 0x08;
const BYTE_PREFIX = 0x0a;
const WORD_PREFIX = 0x0b;
const DWORD_PREFIX = 0x0c;
const STRING_PREFIX = 0x0d;
const SCOPE_OP = 0x10;
const BUFFER_OP = 0x11;
const PACKAGE_OP = 0x12;
const EXT_OP_PREFIX = 0x5b;
const DEVICE_OP = 0x82; // after EXT_OP_PREFIX
const ROOT_CHAR = 0x5c;

// §6.4.3.5: address space descriptors.
const MEMORY = 0;
const PORTS = 1;
const BUS_NUMBERS = 2;
const PRODUCER_FIXED = 0x0c; // passed on, both ends fixed
const ENTIRE_RANGE = 0x03; // of ports: ISA's and others
const READ_WRITE = 0x01; // of memory; not cacheable

export type Aml = Uint8Array;

export function scope(path: string, ...terms: readonly Aml[]): Aml {
  return concat([SCOPE_OP], sized(concat(namePath(path), ...terms)));
}

export function device(name: string, ...terms: readonly Aml[]): Aml {
  return concat([EXT_OP_PREFIX, DEVICE_OP], sized(concat(namePath(name), ...terms)));
}

export function name(nameSegment: string, value: Aml): Aml {
  return concat([NAME_OP], namePath(nameSegment), value);
}

export function integer(value: number): Aml {
  if (value === 0) return Uint8Array.of(ZERO_OP);
  if (value === 1) return Uint8Array.of(ONE_OP);
  if (value <= 0xff) return Uint8Array.of(BYTE_PREFIX, value);
  if (value <= 0xffff) return concat([WORD_PREFIX], u16(value));
  return concat([DWORD_PREFIX], u32(value));
}

export function string(text: string): Aml {
  return concat([STRING_PREFIX], ascii(text), [0]);
}

/**
 * The compressed form of a PnP id, `PNP0501` (§19.3.4, EISAID): three letters of five bits, four hex digits,
 * big-endian.
 */
export function eisaId(id: string): Aml {
  const [first = 0, second = 0, third = 0] = ascii(id.slice(0, 3)).map((letter) => letter - 0x40);
  const product = Number.parseInt(id.slice(3), 16);
  const manufacturer = (first << 10) | (second << 5) | third;
  const bytes = Uint8Array.of(manufacturer >> 8, manufacturer & 0xff, product >> 8, product & 0xff);
  return concat([DWORD_PREFIX], bytes);
}

export function amlPackage(...elements: readonly Aml[]): Aml {
  return concat([PACKAGE_OP], sized(concat([elements.length], ...elements)));
}

/** A ResourceTemplate: descriptors, the end tag (checksum 0: not checked), in a buffer. */
export function resourceTemplate(...descriptors: readonly Aml[]): Aml {
  const bytes = concat(...descriptors, [0x79, 0x00]);
  return concat([BUFFER_OP], sized(concat(integer(bytes.length), bytes)));
}

/** §6.4.2.5: fixed ports, all 16 address bits decoded. */
export function io(port: number, lengthBytes: number): Aml {
  return concat([0x47, 0x01], u16(port), u16(port), [1, lengthBytes]);
}

/** §6.4.2.1, short form: one edge-triggered, active-high, exclusive ISA interrupt. */
export function irqNoFlags(irq: number): Aml {
  return concat([0x22], u16(1 << irq));
}

/** §6.4.3.4: for devices on the memory bus (virtio-mmio). */
export function memory32Fixed(base: number, lengthBytes: number): Aml {
  const readWrite = 1;
  return concat([0x86], u16(9), [readWrite], u32(base), u32(lengthBytes));
}

/** §6.4.3.5: what a bridge passes on to the bus behind it, at the same numbers and addresses. */
export function wordBusNumbers(first: number, last: number): Aml {
  return concat(
    [0x88],
    u16(13),
    [BUS_NUMBERS, PRODUCER_FIXED, 0],
    ...[0, first, last, 0].map(u16),
    u16(last - first + 1),
  );
}

export function wordIo(first: number, last: number): Aml {
  return concat(
    [0x88],
    u16(13),
    [PORTS, PRODUCER_FIXED, ENTIRE_RANGE],
    ...[0, first, last, 0].map(u16),
    u16(last - first + 1),
  );
}

export function dwordMemory(first: number, last: number): Aml {
  return concat(
    [0x87],
    u16(23),
    [MEMORY, PRODUCER_FIXED, READ_WRITE],
    ...[0, first, last, 0].map(u32),
    u32(last - first + 1),
  );
}

/** §6.4.3.6: a GSI, consumed by this device, edge-triggered, active-high, exclusive. */
export function interrupt(gsi: number): Aml {
  const consumerEdgeHighExclusive = 0x03;
  return concat([0x89], u16(6), [consumerEdgeHighExclusive, 1], u32(gsi));
}

/**
 * Prefixes a PkgLength, which counts itself (§20.2.4): 6 bits in one byte, or 4 bits and one to three more
 * bytes.
 */
function sized(body: Aml): Aml {
  if (body.length + 1 < 1 << 6) return concat([body.length + 1], body);
  for (let more = 1; more <= 3; more++) {
    const total = body.length + 1 + more;
    if (total >= 1 << (4 + 8 * more)) continue;
    const rest = Array.from({ length: more }, (_, index) => (total >> (4 + 8 * index)) & 0xff);
    return concat([(more << 6) | (total & 0xf)], rest, body);
  }
  throw new RangeError(`AML package of ${body.length} bytes is too long`);
}

/** A name of one segment, or `\` and one segment; segments are padded with `_`. */
function namePath(path: string): Aml {
  const isRooted = path.startsWith('\\');
  const segment = (isRooted ? path.slice(1) : path).padEnd(4, '_');
  return concat(isRooted ? [ROOT_CHAR] : [], ascii(segment));
}

/** One after the other. */
export function concat(...parts: readonly (Aml | readonly number[])[]): Aml {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

function ascii(text: string): Aml {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function u16(value: number): Aml {
  return Uint8Array.of(value & 0xff, value >> 8);
}

function u32(value: number): Aml {
  return Uint8Array.of(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24);
}
