/** A recorded stop as the frame that values and expressions are asked in. */
import { QueryError } from '../../debug-adapter/symbols/base/queryError.ts';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { type LiveStop, recordedMemory } from './live.ts';
import type { FrameContext } from '../../debug-adapter/symbols/frames/frameContext.ts';
import type { NamedValue } from '../../debug-adapter/symbols/values/value.ts';

/** The innermost frame of a stop. */
export function frameOf(stop: LiveStop): FrameContext {
  const registers = Object.entries(stop.frames[0]?.registers ?? {});
  return {
    registers: new Map(registers.map(([name, value]) => [name, BigInt(value)])),
    memory: recordedMemory(stop),
  };
}

/** As a user sees it. `/x EXPRESSION` is shown in that format. */
export async function answer(image: SymbolImage, expression: string, frame: FrameContext): Promise<string> {
  const [, format, asked = expression] = /^\/(\w+) (.*)$/.exec(expression) ?? [];
  try {
    return await (await image.evaluate(asked, frame)).display(format);
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return `error: ${error.message}`;
  }
}

export interface RoundTrip {
  readonly image: SymbolImage;
  readonly frame: FrameContext;
  /** How deep rows unfold, and how many of each are looked at. */
  readonly depth: number;
  readonly children: number;
  /** Rows whose two answers, joined, match this may differ. */
  readonly excused?: RegExp;
  /** Gets a line for each row whose expression evaluates to something else. */
  readonly wrong: string[];
}

/**
 * The expression of every row, and of its children, evaluates to the same value; cycles are followed as far
 * as asked.
 */
export async function roundTrip(rows: readonly NamedValue[], how: RoundTrip): Promise<number> {
  let count = 0;
  for (const { expression, value } of rows) {
    const direct = await value.display();
    const again = await answer(how.image, expression, how.frame);
    if (direct !== again && how.excused?.test(direct + again) !== true)
      how.wrong.push(`${expression}: ${direct}, but evaluates to ${again}`);
    count += 1;
    if (how.depth > 0)
      count += await roundTrip(await value.children(0, how.children), { ...how, depth: how.depth - 1 });
  }
  return count;
}
