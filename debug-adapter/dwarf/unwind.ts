/** Applies call frame rules to a frame's registers: the registers of its caller. DWARF 5 §6.4.1. */
import { fromBytes } from './byteOrder.ts';
import type { CfaRule, FrameRow, RegisterRule } from './cfi.ts';
import { type ExpressionContext, NotSavedError, evaluateValue } from './expression.ts';

export interface CallerRegisters {
  /** The canonical frame address: the stack pointer before the call. */
  readonly cfa: bigint;
  /** By DWARF number. A register that is missing has no known value in the caller. */
  readonly registers: ReadonlyMap<number, bigint>;
  /**
   * Where in memory the frame saved a register of the caller: writing there changes the caller's register.
   */
  readonly savedAt: ReadonlyMap<number, bigint>;
}

/**
 * `keeps` tells registers that, without a rule, survive a call by the ABI. Throws DwarfError when a rule
 * cannot be applied.
 */
export async function applyFrameRow(
  row: FrameRow,
  context: ExpressionContext,
  options: {
    readonly stackPointer: number;
    readonly registerNumbers: Iterable<number>;
    readonly keeps: (register: number) => boolean;
  },
): Promise<CallerRegisters> {
  const cfa = await computeCfa(row.cfa, context);
  const registers = new Map<number, bigint>();
  const savedAt = new Map<number, bigint>();
  const numbers = new Set([...options.registerNumbers, ...row.registers.keys()]);
  for (const register of numbers) {
    const rule = row.registers.get(register);
    let value: bigint | undefined;
    if (rule !== undefined) value = await applyRule(rule, register, cfa, context, savedAt);
    else if (register === options.stackPointer) value = cfa;
    else if (options.keeps(register)) value = context.register(register);
    if (value !== undefined) registers.set(register, value);
  }
  return { cfa, registers, savedAt };
}

/** The canonical frame address alone. */
export async function computeCfa(rule: CfaRule, context: ExpressionContext): Promise<bigint> {
  const bits = 8 * context.addressSize;
  if (rule.kind === 'expression') return (await evaluateValue(rule.expression, context)).bits;
  const base = context.register(rule.register);
  if (base === undefined) throw new NotSavedError(0, rule.register);
  return BigInt.asUintN(bits, base + BigInt(rule.offset));
}

async function applyRule(
  rule: RegisterRule,
  register: number,
  cfa: bigint,
  context: ExpressionContext,
  savedAt: Map<number, bigint>,
): Promise<bigint | undefined> {
  const bits = 8 * context.addressSize;
  const load = async (address: bigint): Promise<bigint | undefined> => {
    const bytes = await context.memory(BigInt.asUintN(bits, address), context.addressSize);
    if (bytes !== undefined) savedAt.set(register, BigInt.asUintN(bits, address));
    return bytes && fromBytes(bytes, context.littleEndian);
  };
  switch (rule.kind) {
    case 'undefined':
      return undefined;
    case 'sameValue':
      return context.register(register);
    case 'offset':
      return load(cfa + BigInt(rule.offset));
    case 'valOffset':
      return BigInt.asUintN(bits, cfa + BigInt(rule.offset));
    case 'register':
      return context.register(rule.register);
    case 'expression':
      return load((await evaluateValue(rule.expression, context, [cfa])).bits);
    case 'valExpression':
      return (await evaluateValue(rule.expression, context, [cfa])).bits;
  }
}
