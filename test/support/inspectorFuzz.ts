/** The inspector beside a guest that writes whatever it likes into its rings. */
import assert from 'node:assert/strict';
import { readRings } from '../../vmm-core/inspector/ringsReport.ts';
import { allocateGuestMemory } from '../../vmm-core/memory/guestMemory.ts';
import { randomNumbers } from './devices.ts';

const LOOKS = 200;
const CHANGES = 64;
/** Two slots, and no memory between them. */
const SLOTS = [
  { base: 0, sizeBytes: 0x4000 },
  { base: 0x8000, sizeBytes: 0x1000 },
];
const END = 0xa000;
const MAX_ANSWER_BYTES = 64 * 1024;

/** Throws when an answer has no bound, or there is none. */
export function fuzzInspectedRings(seed: number): void {
  const random = randomNumbers(seed);
  const memory = allocateGuestMemory(SLOTS);
  const words = memory.slots.map(
    (slot) => new Uint16Array(slot.bytes.buffer, slot.bytes.byteOffset, slot.sizeBytes / 2),
  );
  for (let look = 0; look < LOOKS; look++) {
    for (const slot of words) {
      // Small values are indexes and flags that mean something.
      for (let i = 0; i < CHANGES; i++) slot[random(slot.length)] = random(random(4) === 0 ? 0x10000 : 8);
    }
    const places = { desc: random(END), driver: random(END), device: random(END), size: 2 ** random(8) };
    const progress = { nextAvail: random(0x10000), nextUsed: random(0x10000) };
    const features = { hasEventIdx: random(2) === 0, hasIndirect: random(4) !== 0 };
    const report = readRings({ ...places, ...progress, ...features }, memory);
    assert.ok(JSON.stringify(report).length < MAX_ANSWER_BYTES, `look ${look}`);
  }
}
