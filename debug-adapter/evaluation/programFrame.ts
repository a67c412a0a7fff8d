/**
 * A shown frame as the program sees it: the symbol file that covers its code, and what variables are
 * evaluated against.
 */
import type { SessionState } from '../session/sessionState.ts';
import { frameNow, framesOf, unwindContext } from '../session/frames.ts';
import type { ShownFrame } from '../session/stopView.ts';
import type { FrameContext } from '../symbols/frames/frameContext.ts';
import type { SymbolImage, Variable } from '../symbols/symbolImage.ts';
import type { Language } from '../symbols/values/literals.ts';
import type { Value } from '../symbols/values/value.ts';
import { frameContext } from '../target/unwind.ts';
import { lookupAddress, type UnwindFrame } from '../target/unwindFrame.ts';

export interface ProgramFrame {
  readonly image: SymbolImage;
  readonly context: FrameContext;
  readonly language: Language;
}

/**
 * Exists where the code at the frame belongs to an image with debug information, of the width the vCPU
 * executes.
 */
export async function programFrame(
  state: SessionState,
  shown: ShownFrame,
): Promise<ProgramFrame | undefined> {
  const view = await state.viewOf(shown.cpu);
  const own = await frameNow(state, shown);
  const image = view.imageAt(lookupAddress(own)) ?? view.images.find((it) => it.hasLines);
  if (image === undefined) return undefined;
  const unwinding = await unwindContext(state, shown.cpu);
  // Each with its own caller: a value at a function's entry may be what the call passed.
  const contextOf = (frame: UnwindFrame, depth: number, of: SymbolImage): FrameContext | undefined => {
    const context = frameContext(frame, unwinding, of);
    return context && { ...context, caller: () => callerOf(depth) };
  };
  const callerOf = async (depth: number): Promise<FrameContext | undefined> => {
    const frame = (await framesOf(state, shown.cpu, depth + 2))[depth + 1];
    const above = frame && view.imageAt(lookupAddress(frame));
    return frame && above && contextOf(frame, depth + 1, above);
  };
  const context = contextOf(own, shown.depth, image);
  return context && { image, context, language: image.languageAt(lookupAddress(own)) };
}

export async function localVariables(state: SessionState, shown: ShownFrame): Promise<readonly Variable[]> {
  const frame = await programFrame(state, shown);
  return frame === undefined ? [] : frame.image.localsAt(frame.context, shown.inlineDepth);
}

/** `undefined` where no program is known. Throws QueryError. */
export async function programValue(
  state: SessionState,
  expression: string,
  shown: ShownFrame,
): Promise<Value | undefined> {
  const frame = await programFrame(state, shown);
  return frame?.image.evaluate(expression, frame.context, shown.inlineDepth);
}
