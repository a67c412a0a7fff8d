/** What the target knows of a frame: its registers, its memory and, if known, its caller. */

/** Register values by lower-case name: `rax` … `r15`, `rip`, `rsp` (64-bit), `eax` … `eip` (32-bit). */
export type Registers = ReadonlyMap<string, bigint>;

/** Memory of the target at run-time addresses. Undefined, not an exception, when it cannot be read. */
export interface MemoryReader {
  read(address: bigint, lengthBytes: number): Promise<Uint8Array | undefined>;
}

/** One activation: what variables and expressions are evaluated against. */
export interface FrameContext {
  readonly registers: Registers;
  readonly memory: MemoryReader;
  /**
   * True for every frame but the innermost and those interrupted (a signal, an exception): their program
   * counter is a return address and belongs to the call before it.
   */
  readonly pcIsReturnAddress?: boolean;
  /** The frame's caller, where it is known: values at a function's entry are computed there. */
  readonly caller?: () => Promise<FrameContext | undefined>;
}
