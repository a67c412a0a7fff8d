/**
 * Unwinds from random addresses with made-up registers and memory, and compares with readelf's reading of the
 * frame tables.
 */
import { basename } from 'node:path';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import type { Agreement } from './agreement.ts';
import { type ReadelfFrames, frameDifference, syntheticFrame } from './readelfFrames.ts';

/** `from`: lower addresses are left out. */
export async function compareFrames(
  image: SymbolImage,
  tables: ReadelfFrames,
  sample: { readonly random: () => number; readonly count: number; readonly from: bigint },
  group: Agreement,
): Promise<void> {
  const { random, count, from } = sample;
  for (let drawn = 0; drawn < count && tables.size > 0; drawn++) {
    const { start, end } = tables.range(Math.floor(random() * tables.size));
    const pc = start + BigInt(Math.floor(random() * Number(end - start)));
    const rule = pc < from ? undefined : tables.ruleAt(pc);
    if (rule === undefined || /exp/.test([rule.cfa, ...rule.registers.values()].join())) continue;
    const frame = syntheticFrame(pc);
    const difference = frameDifference(rule, frame, await image.unwindFrame(frame));
    if (difference === undefined) group.agree();
    else
      group.differ(undefined, () => `${basename(image.path)} 0x${pc.toString(16)}: ${difference}`, [
        `vmm sym ${image.path} 'unwind 0x${pc.toString(16)}'`,
        `readelf --debug-dump=frames-interp ${image.path}`,
      ]);
  }
}
