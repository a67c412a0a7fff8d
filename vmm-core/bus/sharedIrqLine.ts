/**
 * One interrupt input driven by several devices, wired or: COM1 and COM3 share IRQ 4, COM2 and COM4 IRQ 3.
 * Which sources assert is a bit mask in shared memory, since each may be changed by a different thread.
 */
import type { IrqLine } from './irqLine.ts';
import { type StateBlock, u32 } from './stateBlock.ts';

const STATE = { sources: u32 };
const MAX_SOURCES = 32;

export class SharedIrqLine {
  static readonly state = STATE;

  readonly #state: StateBlock<typeof STATE>;
  readonly #line: IrqLine;

  constructor(state: StateBlock<typeof STATE>, line: IrqLine) {
    this.#state = state;
    this.#line = line;
  }

  /** The input of device `index` (0..31). Every thread makes its own from the same index. */
  source(index: number): IrqLine {
    if (!Number.isInteger(index) || index < 0 || index >= MAX_SOURCES)
      throw new RangeError(`no interrupt source ${index}`);
    return { set: (asserted) => this.#set(1 << index, asserted) };
  }

  /** The line is driven inside the lock: two threads must not deliver their levels in the wrong order. */
  #set(bit: number, asserted: boolean): void {
    this.#state.locked(() => {
      const before = this.#state.regs.sources;
      const after = (asserted ? before | bit : before & ~bit) >>> 0;
      if (after === before) return;
      this.#state.regs.sources = after;
      if ((before === 0) !== (after === 0)) this.#line.set(after !== 0);
    });
  }
}
