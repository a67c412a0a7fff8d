/**
 * A device's registers: named fields in shared memory, with a lock. The same bytes back the device in every
 * thread, so a device object is only behaviour, and a snapshot of the device is a copy of the block. A shape
 * is plain data: who shows or saves a device goes through its fields and needs no list of them. Layout: a
 * 32-bit lock, then the fields in the order of the shape, each at a multiple of its own size.
 */
import { ByteRing } from './byteRing.ts';

export type Field =
  | { readonly type: 'u8' | 'u16' | 'u32' | 'u64' | 's64' }
  | { readonly type: 'bytes'; readonly length: number }
  | { readonly type: 'u32s' | 'words'; readonly length: number }
  | { readonly type: 'ring'; readonly capacity: number };

/** What a device has: `{ ier: u8, fifo: bytes(16), output: ring(1 << 16) }`. */
export type StateShape = Readonly<Record<string, Field>>;

export const u8 = { type: 'u8' } as const;
export const u16 = { type: 'u16' } as const;
export const u32 = { type: 'u32' } as const;
export const u64 = { type: 'u64' } as const;
export const s64 = { type: 's64' } as const;

/** Tables and FIFOs. */
export function bytes<N extends number>(length: N): { readonly type: 'bytes'; readonly length: N } {
  return { type: 'bytes', length };
}

/** A register that there are several of. */
export function u32s<N extends number>(length: N): { readonly type: 'u32s'; readonly length: N } {
  return { type: 'u32s', length };
}

/** 32 bits each, for Atomics: what threads tell each other without the lock. */
export function words<N extends number>(length: N): { readonly type: 'words'; readonly length: N } {
  return { type: 'words', length };
}

/** Bytes that cross to another thread; a power of two of them. */
export function ring<N extends number>(capacity: N): { readonly type: 'ring'; readonly capacity: N } {
  return { type: 'ring', capacity };
}

interface ValueOf {
  u8: number;
  u16: number;
  u32: number;
  u64: bigint;
  s64: bigint;
  bytes: Uint8Array;
  u32s: Uint32Array;
  words: Int32Array;
  ring: ByteRing;
}

type Storage = 'bytes' | 'u32s' | 'words' | 'ring';

/** The fields as properties. Those that are more than a number are views, and not assigned to. */
export type Registers<S extends StateShape> = {
  -readonly [K in keyof S as S[K]['type'] extends Storage ? never : K]: ValueOf[S[K]['type']];
} & {
  readonly [K in keyof S as S[K]['type'] extends Storage ? K : never]: ValueOf[S[K]['type']];
};

export interface PlacedField {
  readonly name: string;
  readonly field: Field;
  /** From the start of the block. */
  readonly offset: number;
  readonly sizeBytes: number;
}

const LOCK_BYTES = 4;
const ALIGNMENT = { u8: 1, u16: 2, u32: 4, u64: 8, s64: 8, bytes: 1, u32s: 4, words: 4, ring: 4 } as const;
const BLOCK_ALIGNMENT = 8;

const FREE = 0;
const HELD = 1;
const CONTENDED = 2; // held, and somebody sleeps

/** Where each field of a block is. */
export function placeFields(shape: StateShape): readonly PlacedField[] {
  let end = LOCK_BYTES;
  return Object.entries(shape).map(([name, field]) => {
    const sizeBytes = sizeOfField(field);
    const offset = alignUp(end, ALIGNMENT[field.type]);
    end = offset + sizeBytes;
    return { name, field, offset, sizeBytes };
  });
}

export class StateBlock<S extends StateShape> {
  /** A multiple of 8, so that blocks can be laid end to end. */
  static sizeOf(shape: StateShape): number {
    const last = placeFields(shape).at(-1);
    return alignUp(last === undefined ? LOCK_BYTES : last.offset + last.sizeBytes, BLOCK_ALIGNMENT);
  }

  /** A block in memory of its own, for tests and for devices of one thread. */
  static allocate<S extends StateShape>(shape: S): StateBlock<S> {
    return new StateBlock(shape, new SharedArrayBuffer(StateBlock.sizeOf(shape)));
  }

  /**
   * Unsigned fields (but for s64) keep the low bits of what is written. Plain loads and stores: the lock
   * orders them, and a reader without it (an inspector view of a running guest) never sees half a word, at
   * worst an old one. Writers hold the lock.
   */
  readonly regs: Registers<S>;
  readonly #shape: StateShape;
  readonly #buffer: SharedArrayBuffer;
  readonly #offset: number;
  readonly #lock: Int32Array;

  /** `offset` is a multiple of 8. */
  constructor(shape: S, buffer: SharedArrayBuffer, offset = 0) {
    this.#shape = shape;
    this.#buffer = buffer;
    this.#offset = offset;
    this.#lock = new Int32Array(buffer, offset, 1);
    this.regs = registersOver(shape, buffer, offset);
  }

  /** The same block by its first fields, for code that serves all shapes which begin with them. */
  startingWith<P extends StateShape>(shape: P): StateBlock<P> {
    const start = Object.entries(this.#shape).slice(0, Object.keys(shape).length);
    if (JSON.stringify(start) !== JSON.stringify(Object.entries(shape)))
      throw new Error('the state block does not start with these fields');
    return new StateBlock(shape, this.#buffer, this.#offset);
  }

  /** The fields that are rings. */
  get rings(): readonly ByteRing[] {
    return Object.values<unknown>(this.regs).filter((it) => it instanceof ByteRing);
  }

  /**
   * Runs `body` with the block's lock held. Not recursive. Short critical sections only: the main thread may
   * wait here. A thread waiting for anything else (room in a ring, another vCPU) must not hold it.
   */
  locked<R>(body: () => R): R {
    if (Atomics.compareExchange(this.#lock, 0, FREE, HELD) !== FREE) this.#waitForLock();
    try {
      return body();
    } finally {
      if (Atomics.exchange(this.#lock, 0, FREE) === CONTENDED) Atomics.notify(this.#lock, 0, 1);
    }
  }

  /**
   * Takes the lock as CONTENDED, not HELD: other sleepers may be left behind us, and the unlock must wake one
   * of them. At worst that wakes nobody.
   */
  #waitForLock(): void {
    while (Atomics.exchange(this.#lock, 0, CONTENDED) !== FREE) Atomics.wait(this.#lock, 0, CONTENDED);
  }
}

/**
 * Zero in every field but those named, for a device's reset; what is in rings stays, and words. With the lock
 * held.
 */
export function clearFields<S extends StateShape>(
  shape: S,
  regs: Registers<S>,
  except: readonly (keyof S)[] = [],
): void {
  for (const [name, { type }] of Object.entries(shape)) {
    if (type === 'ring' || type === 'words' || except.includes(name)) continue;
    const value: unknown = Reflect.get(regs, name);
    if (value instanceof Uint8Array || value instanceof Uint32Array) value.fill(0);
    else Reflect.set(regs, name, typeof value === 'bigint' ? 0n : 0);
  }
}

/**
 * One block's memory for the accessors of its fields. Ordinary properties: V8 does not inline private ones as
 * well.
 */
class BlockViews {
  readonly asU8: Uint8Array;
  readonly asU16: Uint16Array;
  readonly asU32: Uint32Array;
  readonly asU64: BigUint64Array;
  readonly asS64: BigInt64Array;

  constructor(buffer: SharedArrayBuffer, offset: number, sizeBytes: number) {
    this.asU8 = new Uint8Array(buffer, offset, sizeBytes);
    this.asU16 = new Uint16Array(buffer, offset, sizeBytes / 2);
    this.asU32 = new Uint32Array(buffer, offset, sizeBytes / 4);
    this.asU64 = new BigUint64Array(buffer, offset, sizeBytes / 8);
    this.asS64 = new BigInt64Array(buffer, offset, sizeBytes / 8);
  }
}

type RegistersClass = new (buffer: SharedArrayBuffer, offset: number) => BlockViews;

const classes = new WeakMap<StateShape, RegistersClass>();

function registersOver<S extends StateShape>(
  shape: S,
  buffer: SharedArrayBuffer,
  offset: number,
): Registers<S> {
  const known = classes.get(shape);
  const shapeClass = known ?? defineRegisters(shape);
  if (known === undefined) classes.set(shape, shapeClass);
  const registers: object = new shapeClass(buffer, offset);
  return registers as Registers<S>; // the compiler does not see what defineRegisters defines
}

/** Once per shape: all blocks of it then look alike to V8, which makes of an access a plain load or store. */
function defineRegisters(shape: StateShape): RegistersClass {
  const fields = placeFields(shape);
  const sizeBytes = StateBlock.sizeOf(shape);
  class ShapeRegisters extends BlockViews {
    constructor(buffer: SharedArrayBuffer, offset: number) {
      super(buffer, offset, sizeBytes);
      for (const { name, field, offset: at } of fields) {
        const value = storageAt(field, buffer, offset + at);
        if (value !== undefined) Object.defineProperty(this, name, { value, enumerable: true });
      }
      Object.freeze(this);
    }
  }
  for (const { name, field, offset } of fields) {
    const accessor = accessorAt(field.type, offset);
    if (accessor !== undefined) Object.defineProperty(ShapeRegisters.prototype, name, accessor);
  }
  return ShapeRegisters;
}

/** The view of a field that is more than a number. */
function storageAt(
  field: Field,
  buffer: SharedArrayBuffer,
  at: number,
): Uint8Array | Uint32Array | Int32Array | ByteRing | undefined {
  if (field.type === 'bytes') return new Uint8Array(buffer, at, field.length);
  if (field.type === 'u32s') return new Uint32Array(buffer, at, field.length);
  if (field.type === 'words') return new Int32Array(buffer, at, field.length);
  return field.type === 'ring' ? new ByteRing(buffer, at, field.capacity) : undefined;
}

/** Called with a block's registers as `this`. */
function accessorAt(
  type: Field['type'],
  offset: number,
): (PropertyDescriptor & ThisType<BlockViews>) | undefined {
  const index = offset / ALIGNMENT[type];
  switch (type) {
    case 'u8':
      return {
        get() {
          return this.asU8[index] ?? 0;
        },
        set(value: number) {
          this.asU8[index] = value;
        },
      };
    case 'u16':
      return {
        get() {
          return this.asU16[index] ?? 0;
        },
        set(value: number) {
          this.asU16[index] = value;
        },
      };
    case 'u32':
      return {
        get() {
          return this.asU32[index] ?? 0;
        },
        set(value: number) {
          this.asU32[index] = value;
        },
      };
    case 'u64':
      return {
        get() {
          return this.asU64[index] ?? 0n;
        },
        set(value: bigint) {
          this.asU64[index] = value;
        },
      };
    case 's64':
      return {
        get() {
          return this.asS64[index] ?? 0n;
        },
        set(value: bigint) {
          this.asS64[index] = value;
        },
      };
    case 'bytes':
    case 'u32s':
    case 'words':
    case 'ring':
      return undefined;
  }
}

function sizeOfField(field: Field): number {
  if (field.type === 'bytes') return field.length;
  if (field.type === 'u32s' || field.type === 'words') return field.length * ALIGNMENT[field.type];
  return field.type === 'ring' ? ByteRing.sizeBytes(field.capacity) : ALIGNMENT[field.type];
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
