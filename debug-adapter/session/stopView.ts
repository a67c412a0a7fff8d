/**
 * What the editor was shown of one stop, and what was computed for it. A session gets a new one whenever the
 * VM stops or runs: whatever belongs to the old one, including a request still being answered, cannot be
 * mistaken for something of the new one.
 */
import type { StopEvent } from '../../vmm-core/protocol/run.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import type { Value } from '../symbols/values/value.ts';
import type { UnwindFrame } from '../target/unwindFrame.ts';
import { HandleMap } from './handleMap.ts';

/**
 * A stack frame as DAP shows it; several share one `UnwindFrame` where code was inlined. It says which frame,
 * not what is in it: a write may change that, see frameNow().
 */
export interface ShownFrame {
  readonly cpu: number;
  /** 0 for the frame the vCPU executes and for what is inlined there. */
  readonly depth: number;
  /** Counts from the innermost function inlined at the frame's address. */
  readonly inlineDepth: number;
}

/** What a `variablesReference` refers to. */
export type VariableContainer =
  | { readonly kind: 'registers'; readonly shown: ShownFrame }
  | { readonly kind: 'group'; readonly group: string; readonly shown: ShownFrame }
  | { readonly kind: 'segment'; readonly name: string; readonly shown: ShownFrame }
  | { readonly kind: 'locals'; readonly shown: ShownFrame }
  | {
      readonly kind: 'value';
      readonly value: Value;
      /** `StopView.writes` when it was looked up: after a later write it is looked up again. */
      readonly asOfWrite: number;
      /** The first child shown, when those before it are shown elsewhere. */
      readonly start?: number;
      readonly shown: ShownFrame;
    };

/** Unwound frames of a vCPU, as far as asked for. */
interface Stack {
  readonly frames: UnwindFrame[];
  complete: boolean;
}

/** Where handles come from: no two stops of a session share a number. */
interface Handles {
  readonly frames: HandleMap<ShownFrame>;
  readonly variables: HandleMap<VariableContainer>;
}

export class StopView {
  /** The stop; while the VM runs, the one it came from. Undefined before the first. */
  readonly event: StopEvent | undefined;
  readonly frames: HandleMap<ShownFrame>;
  readonly variables: HandleMap<VariableContainer>;
  readonly stacks = new Map<number, Stack>();
  /**
   * vCPUs that are where inlined copies begin, but are shown at their call: how many copies are hidden. A
   * step by line that reaches such a line stops there, as it would before a call.
   */
  readonly hiddenFrames = new Map<number, number>();
  #writes = 0;

  constructor(event?: StopEvent, handles: Handles = { frames: new HandleMap(), variables: new HandleMap() }) {
    this.event = event;
    this.frames = handles.frames;
    this.variables = handles.variables;
  }

  /** The view that follows it. Only the event is carried over, when there is no new one. */
  next(event = this.event): StopView {
    return new StopView(event, {
      frames: this.frames.successor(),
      variables: this.variables.successor(),
    });
  }

  /** Writes to registers and memory so far: what was read before the last one may be out of date. */
  get writes(): number {
    return this.#writes;
  }

  /** After any write: nothing that was computed from registers or memory is kept. */
  written(): void {
    this.#writes += 1;
    this.stacks.clear();
  }

  /** Throws UserError for a handle of an earlier stop. */
  frame(frameId: number): ShownFrame {
    const shown = this.frames.get(frameId);
    if (shown === undefined) throw new UserError(USER_ERROR.stale, `frame ${frameId} is of an earlier stop`);
    return shown;
  }

  /** Throws UserError for a handle of an earlier stop. */
  container(reference: number): VariableContainer {
    const container = this.variables.get(reference);
    if (container === undefined)
      throw new UserError(USER_ERROR.stale, `variables ${reference} are of an earlier stop`);
    return container;
  }
}
