/**
 * Hostile kernel images: whatever is in a header, the answer is a BootError or a machine that starts inside
 * its RAM, soon.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  board,
  bzImage,
  elfImage,
  multibootElf,
  multibootHeader,
  pvhImage,
  ram,
} from '../../test/support/kernelImages.ts';
import { MULTIBOOT_AOUT_KLUDGE } from '../abi/multiboot.ts';
import { BootError } from '../boot/bootError.ts';
import { BOOT_PROTOCOLS } from '../config/settings/boot.ts';
import { type ByteSource, bytesSource } from '../elf/byteSource.ts';
import { MIB } from '../memory/layout.ts';
import { loadKernel } from './loadKernel.ts';

const ROUNDS = 10_000;
const MEMORY_BYTES = 2 * MIB;

/** mulberry32: small, seeded, good enough to choose bytes. */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) % limit;
  };
}

const rawMultiboot = new Uint8Array(128);
rawMultiboot.set(
  multibootHeader(MULTIBOOT_AOUT_KLUDGE, { header_addr: MIB, load_addr: MIB, entry_addr: MIB + 32 }),
);

/** Each with the part of it that headers occupy. */
const SEEDS: readonly { readonly image: Uint8Array; readonly headers: readonly [number, number] }[] = [
  { image: elfImage(), headers: [0, 120] },
  { image: elfImage({ bits: 32 }), headers: [0, 84] },
  { image: pvhImage(), headers: [0, 210] },
  { image: multibootElf(32), headers: [0, 112] },
  { image: multibootElf(64), headers: [0, 140] },
  { image: rawMultiboot, headers: [0, 36] },
  { image: bzImage({ init_size: 0x1000, pref_address: BigInt(MIB) }), headers: [0x1f1, 0x270] },
];

/** Values at which arithmetic goes wrong. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, MIB, MEMORY_BYTES, 0xc000_0000];

function mutate(
  image: Uint8Array,
  [start, end]: readonly [number, number],
  random: (limit: number) => number,
): Uint8Array {
  const mutated = image.slice(0, random(8) === 0 ? random(image.length + 1) : image.length);
  const view = new DataView(mutated.buffer);
  for (let changes = random(6); changes >= 0; changes--) {
    const at = start + random(end - start);
    if (random(2) === 0 && at < mutated.length) mutated[at] = random(256);
    else if (at + 4 <= mutated.length) view.setUint32(at & ~3, EDGES[random(EDGES.length)] ?? 0, true);
  }
  return mutated;
}

/** Counts what is read: a loader that loops over a hostile count reads far more than the RAM can hold. */
function counting(source: ByteSource): ByteSource & { readonly readBytes: () => number } {
  let total = 0;
  return {
    ...source,
    readInto(offset, target) {
      total += target.length + 1;
      source.readInto(offset, target);
    },
    readBytes: () => total,
  };
}

test(
  '10 000 mutated headers end in a BootError or a machine that starts in RAM',
  { timeout: 120_000 },
  () => {
    const random = randomFrom(20261123);
    const memory = ram(MEMORY_BYTES);
    const outcomes = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const seed = SEEDS[round % SEEDS.length] ?? assert.fail();
      const kernel = counting(bytesSource('fuzz', mutate(seed.image, seed.headers, random)));
      const protocol = random(3) === 0 ? (BOOT_PROTOCOLS[random(BOOT_PROTOCOLS.length)] ?? 'auto') : 'auto';
      const initrd = random(4) === 0 ? bytesSource('initrd', new Uint8Array(random(0x8000))) : undefined;
      const cmdline = 'x'.repeat(random(16) === 0 ? random(5000) : 8);
      let outcome: string;
      try {
        const state = loadKernel({ kernel, initrd, cmdline, protocol, board: board(1 + random(64)), memory });
        outcome = state.protocol;
        assert.ok(memory.contains(Number(state.entry), 1), `round ${round}: starts at ${state.entry}`);
      } catch (error) {
        if (!(error instanceof BootError)) throw new Error(`round ${round}`, { cause: error });
        assert.ok(!error.message.includes('\n') && error.message.length < 400);
        outcome = error.code;
      }
      assert.ok(
        kernel.readBytes() <= MEMORY_BYTES + 0x10_0000,
        `round ${round} reads ${kernel.readBytes()} bytes`,
      );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    // The mutations must reach deep: every protocol still starts, and every check is hit.
    const reached = [
      'multiboot',
      'linux64',
      'bzImage',
      'PVH',
      'flat',
      'needsMemory',
      'addressTaken',
      'badEntry',
      'imageDamaged',
    ];
    for (const outcome of reached)
      assert.ok((outcomes.get(outcome) ?? 0) > 10, `${outcome} was hardly reached`);
  },
);
