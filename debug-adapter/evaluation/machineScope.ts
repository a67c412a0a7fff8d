/**
 * Expressions over the machine alone: registers, symbols as their addresses, memory in words. The language is
 * that of symbols/expressions; this is a scope without variables, in which anything without a type is a
 * machine word and not a C int. Pure: where values come from is up to the Machine.
 */
import { USER_ERROR, UserError } from '../errors.ts';
import { QueryError } from '../symbols/base/queryError.ts';
import { evaluateAssign, evaluateNode, type EvaluationScope } from '../symbols/expressions/evaluator.ts';
import { parseExpression } from '../symbols/expressions/parser.ts';
import type { Node } from '../symbols/expressions/syntaxTree.ts';
import type { NamedRegister } from '../symbols/frames/machineRegisters.ts';
import { builtinType } from '../symbols/types/builtinTypes.ts';
import { integer, isFloatType } from '../symbols/types/scalarTypes.ts';
import type { BaseType, Type } from '../symbols/types/type.ts';
import type { Language } from '../symbols/values/literals.ts';
import { Scalars } from '../symbols/values/scalars.ts';
import type { TargetValue, ValueWorld } from '../symbols/values/targetValue.ts';
import type { Assignment } from '../symbols/values/value.ts';

export interface Machine {
  /** Of the current code: `017` is 15 in C and 17 in Rust. */
  readonly language: Language;
  /** Size of a pointer on the vCPU as it executes now; `*number` reads that much. */
  readonly wordBytes: number;
  /** `undefined` when there is no register of that name. */
  register(name: string): NamedRegister | undefined;
  /** Address of a symbol, `undefined` when there is none of that name. */
  symbol(name: string): bigint | undefined;
  /** Throws when the memory cannot be read. */
  read(address: bigint, lengthBytes: number): Promise<Uint8Array>;
}

export interface MachineWord {
  readonly kind: 'number' | 'memory';
  /** 64 bits. */
  readonly value: bigint;
  /** Of what was read from memory. */
  readonly address?: bigint;
  readonly lengthBytes?: number;
  /** What numbers alone evaluate to, if that is below zero: `-1` is not 18446744073709551615. */
  readonly signed?: bigint;
}

/**
 * Wider than any address, so that arithmetic on numbers alone keeps its sign; addresses wrap when they are
 * used.
 */
const NUMBER = integer('number', 16, true);
const ADDRESS = integer('address', 8, false);

const MEMORY_TYPES: Readonly<Record<string, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  char: 1,
  short: 2,
  int: 4,
  long: 8,
};

/** How much of an expression a message about it quotes. */
const MAX_QUOTED = 200;

/**
 * `tree`: of the text, where it was parsed before. Throws UserError: what is wrong, or what cannot be read.
 */
export async function evaluateWord(text: string, machine: Machine, tree?: Node): Promise<MachineWord> {
  return asUserError(text, () => wordOf(tree ?? parseForMachine(text, machine), text, machine));
}

/** The write that an assignment asks for. Throws UserError. */
export async function assignWord(
  { place, value, column }: Node & { readonly kind: 'assign' },
  text: string,
  machine: Machine,
): Promise<Assignment> {
  return asUserError(text, async () => {
    try {
      return await evaluateAssign(place, value, new MachineScope(machine), text);
    } catch (error) {
      if (!(error instanceof QueryError) || error.code !== 'notAssignable') throw error;
      const what = quoted(text.slice(0, column - 1).trim());
      const message = `cannot assign to "${what}": write a register or memory such as *(u32*)0x1000`;
      throw new QueryError(message, place.column, error.code);
    }
  });
}

/** The value of a part of `text`. Throws QueryError, and what the machine throws. */
export async function wordOf(node: Node, text: string, machine: Machine): Promise<MachineWord> {
  const scope = new MachineScope(machine);
  const result = await evaluateNode(node, scope, text);
  if (isFloatType(result.bare)) throw new QueryError(`${quoted(text)} is not an integer`, node.column);
  const exact = await scope.scalars.integer(await scope.scalars.decayed(result));
  const value = BigInt.asUintN(64, exact);
  const { address, sizeBytes } = result;
  if (address !== undefined && sizeBytes !== undefined)
    return { kind: 'memory', value, address, lengthBytes: sizeBytes };
  return { kind: 'number', value, ...(exact < 0n && isNumbersOnly(node) && { signed: exact }) };
}

/** Throws QueryError with the column of a mistake. */
export function parseForMachine(text: string, machine: Pick<Machine, 'language' | 'symbol'>): Node {
  return parseExpression(text, {
    language: machine.language,
    underscores: true,
    isType: (name) => Object.hasOwn(MEMORY_TYPES, name),
    isTemplate: () => false,
    isDotted: (name) => machine.symbol(name) !== undefined,
  });
}

/** Without a prefix, a suffix or quotes that would make it more than plain bits. */
const PLAIN_NUMBER = /^(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[\d_]+)$/;

/**
 * Whether an expression is made of registers, plain numbers and what leads from one address to another: those
 * are addresses and bits, not numbers of some type of a program. Products and masks are arithmetic.
 * `isMachineName` knows the names without a dollar.
 */
export function isOfMachine(node: Node, isMachineName: (name: string) => boolean): boolean {
  switch (node.kind) {
    case 'integer':
      return PLAIN_NUMBER.test(node.text);
    case 'register':
      return true;
    case 'name':
      return node.file === undefined && isMachineName(node.name);
    case 'unary':
      return '+-&*'.includes(node.operator) && isOfMachine(node.operand, isMachineName);
    case 'binary':
      return (
        '+-'.includes(node.operator) &&
        isOfMachine(node.left, isMachineName) &&
        isOfMachine(node.right, isMachineName)
      );
    default:
      return false;
  }
}

/** No register, symbol or memory is in it, so a value below zero is not an address. */
function isNumbersOnly(node: Node): boolean {
  switch (node.kind) {
    case 'integer':
      return true;
    case 'unary':
      return !'&*'.includes(node.operator) && isNumbersOnly(node.operand);
    case 'binary':
      return isNumbersOnly(node.left) && isNumbersOnly(node.right);
    default:
      return false;
  }
}

class MachineScope implements EvaluationScope {
  readonly language: Language;
  readonly world: ValueWorld;
  readonly scalars: MachineScalars;
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.language = machine.language;
    this.world = {
      littleEndian: true,
      addressSize: 8,
      read: (address, lengthBytes) => machine.read(address, lengthBytes),
      symbolize: () => undefined,
    };
    this.scalars = new MachineScalars(this.world, machine);
    this.#machine = machine;
  }

  /** The program's names come before those of registers: `$ch` is always the register. */
  async variable(name: string): Promise<TargetValue | undefined> {
    const address = this.#machine.symbol(name);
    if (address !== undefined) return this.scalars.constant(ADDRESS, address, name);
    if (this.isRegister(name.toLowerCase())) return undefined;
    throw new QueryError(`no register or symbol "${quoted(name)}"`, undefined, 'unknownName');
  }

  type(name: string): Type | undefined {
    const sizeBytes = Object.hasOwn(MEMORY_TYPES, name) ? MEMORY_TYPES[name] : undefined;
    return sizeBytes === undefined ? builtinType(name, 8) : integer(name, sizeBytes, false);
  }

  dataMember(): undefined {
    return undefined;
  }

  register(name: string): NamedRegister | undefined {
    return this.#machine.register(name);
  }

  isRegister(name: string): boolean {
    return this.#machine.register(name) !== undefined;
  }
}

/** Numbers and registers as unsigned bits; as addresses they point to words. */
class MachineScalars extends Scalars {
  readonly #word: BaseType;

  constructor(world: ValueWorld, { language, wordBytes }: Machine) {
    super(world, language);
    this.#word = integer('word', wordBytes, false);
  }

  override literalType(value: bigint, text: string): BaseType {
    if (value >= 1n << 64n) throw new QueryError(`${quoted(text)} does not fit in 64 bits`);
    return NUMBER;
  }

  override registerType({ full, sizeBytes }: { readonly full: string; readonly sizeBytes: number }): Type {
    return integer(full, sizeBytes, false);
  }

  override get word(): BaseType {
    return this.#word;
  }

  /** A number is an address already. */
  override addressOfConstant(value: TargetValue): TargetValue {
    return value;
  }
}

async function asUserError<T>(text: string, evaluate: () => Promise<T>): Promise<T> {
  try {
    return await evaluate();
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    const { message, code } = error;
    // An error with a code says by itself what it is about.
    const told = code !== undefined ? message : `cannot evaluate "${quoted(text)}": ${message}`;
    throw new UserError(USER_ERROR.expression, told, { cause: error });
  }
}

function quoted(text: string): string {
  return text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
}
