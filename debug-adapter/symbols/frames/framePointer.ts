/**
 * From a frame to its caller where no table covers it: along the frame pointers, which every kernel built
 * with `-fno-omit-frame-pointer` has. x86 in 32 and 64 bits: [rbp] is the caller's RBP, [rbp + word] the
 * return address.
 */

/** Addresses are linear; registers are as the CPU has them. */
export interface LinkedFrame {
  readonly pc: bigint;
  readonly sp: bigint;
  readonly framePointer: bigint | undefined;
  /** `pc` is where a call returns to, not what is executed: the frame is set up. */
  readonly pcIsReturnAddress: boolean;
}

/** What following frame pointers needs from the program. */
export interface LinkedStack {
  readonly wordBytes: 4 | 8;
  /** Base of the stack segment; 0 in 64-bit code. */
  readonly base: bigint;
  /** `undefined` when any of it cannot be read. */
  read(address: bigint, lengthBytes: number): Promise<Uint8Array | undefined>;
  /** First address of the function around an address. */
  functionStart(address: bigint): bigint | undefined;
  /** Whether a return address leads to code: if not, the chain ends in garbage. */
  isCode(returnAddress: bigint): Promise<boolean>;
}

export interface LinkedCaller {
  readonly returnAddress: bigint;
  /** Where that was found. */
  readonly returnSlot: bigint;
  /** After the return; linear. */
  readonly sp: bigint;
  readonly framePointer: bigint | undefined;
  /** Where that was found; `undefined` while it is in its register. */
  readonly framePointerSlot: bigint | undefined;
}

const OPCODE_PUSH_BP = 0x55;
const OPCODE_RET = 0xc3;
const OPCODE_RET_IMM16 = 0xc2;
const ENDBR = [0xf3, 0x0f, 0x1e];
const ENDBR_BYTES = 4;
const MOV_BP_SP_BYTES = 3; // 48 89 e5; without the prefix 89 e5 in 32-bit code

export async function callerByFramePointer(
  frame: LinkedFrame,
  stack: LinkedStack,
): Promise<LinkedCaller | undefined> {
  const { sp, framePointer } = frame;
  const pushed = frame.pcIsReturnAddress ? undefined : await wordsOnStack(frame.pc, stack);
  // RBP is still the caller's, or already again; right after `push rbp` it has been saved but not changed.
  if (pushed !== undefined) {
    const slot = sp + BigInt(pushed * stack.wordBytes);
    return returnThrough(slot, { framePointer, framePointerSlot: undefined }, stack);
  }
  if (framePointer === undefined || framePointer === 0n) return undefined;
  const link = stack.base + framePointer;
  if (link < sp) return undefined; // callers' frames are higher
  const saved = await readWord(link, stack);
  if (saved === undefined) return undefined;
  const slot = link + BigInt(stack.wordBytes);
  return returnThrough(slot, { framePointer: saved, framePointerSlot: link }, stack);
}

/** The frame that a return address at `slot` leads to. */
export async function returnThrough(
  slot: bigint,
  link: Pick<LinkedCaller, 'framePointer' | 'framePointerSlot'>,
  stack: LinkedStack,
): Promise<LinkedCaller | undefined> {
  const returnAddress = await readWord(slot, stack);
  if (returnAddress === undefined || returnAddress === 0n) return undefined;
  if (!(await stack.isCode(returnAddress))) return undefined;
  return { returnAddress, returnSlot: slot, sp: slot + BigInt(stack.wordBytes), ...link };
}

export async function readWord(
  address: bigint,
  stack: Pick<LinkedStack, 'wordBytes' | 'read'>,
): Promise<bigint | undefined> {
  const bytes = await stack.read(address, stack.wordBytes);
  if (bytes === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return stack.wordBytes === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
}

/**
 * How many words were pushed since the return address when the frame is not (or no longer) set up at `pc`: 0
 * at a function's first instruction and at its `ret`, 1 after `push rbp`. `undefined` in the body, where RBP
 * is the frame's own.
 */
async function wordsOnStack(pc: bigint, stack: LinkedStack): Promise<0 | 1 | undefined> {
  const here = await stack.read(pc, 1);
  if (here?.[0] === OPCODE_RET || here?.[0] === OPCODE_RET_IMM16) return 0;
  const start = stack.functionStart(pc);
  if (start === undefined) return undefined;
  const prologueBytes = ENDBR_BYTES + 1 + MOV_BP_SP_BYTES;
  if (pc - start >= BigInt(prologueBytes)) return undefined;
  if (pc === start) return 0;
  const code = await stack.read(start, prologueBytes);
  if (code === undefined) return undefined;
  const endbrEnd = stack.wordBytes === 8 ? 0xfa : 0xfb;
  const hasEndbr = ENDBR.every((byte, i) => code[i] === byte) && code[3] === endbrEnd;
  const push = hasEndbr ? ENDBR_BYTES : 0;
  const offset = Number(pc - start);
  if (code[push] !== OPCODE_PUSH_BP) return undefined;
  if (offset === push) return 0;
  return offset === push + 1 ? 1 : undefined;
}
