/**
 * What an expression evaluates to at a frame. It is looked up in two scopes: the program's, whose names have
 * types, and the machine's, where symbols are addresses. The first scope that can evaluate it decides; if
 * neither can, the error is the first one's.
 */
import { USER_ERROR, UserError } from '../errors.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame } from '../session/stopView.ts';
import { QueryError } from '../symbols/base/queryError.ts';
import type { Node } from '../symbols/expressions/syntaxTree.ts';
import { splitFormat } from '../symbols/values/expressionText.ts';
import type { Value } from '../symbols/values/value.ts';
import { registerAlias } from '../target/registers.ts';
import { machineAt } from './machineAt.ts';
import {
  evaluateWord,
  isOfMachine,
  type Machine,
  type MachineWord,
  parseForMachine,
} from './machineScope.ts';
import { type ProgramFrame, programFrame } from './programFrame.ts';

/** Of the program. `format`: how to show it, `x` and the like. */
export interface EvaluatedValue {
  readonly kind: 'value';
  readonly value: Value;
  readonly shown: ShownFrame;
  readonly format: string | undefined;
}

export interface EvaluatedWord {
  readonly kind: 'word';
  readonly word: MachineWord;
  /** Whose address space it may be an address of. */
  readonly cpu: number;
}

export type Evaluated = EvaluatedValue | EvaluatedWord;

/** `format`: how to show it, when the expression does not say. Throws UserError. */
export async function evaluateAt(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
  format?: string,
): Promise<Evaluated> {
  const program = shown && (await programFrame(state, shown));
  const machine = await machineAt(state, shown, program?.language);
  const tree = machineTree(text, machine);
  const isProgram =
    shown !== undefined && program !== undefined && !(await isWord(tree, shown, program, format));
  const found = isProgram ? await valueAt(text, shown, program) : undefined;
  if (found !== undefined && !(found instanceof QueryError))
    return { ...found, format: found.format ?? format };
  try {
    const word = await evaluateWord(text, machine, tree);
    return { kind: 'word', word, cpu: shown?.cpu ?? state.currentCpu };
  } catch (error) {
    throw firstMistake(found, error);
  }
}

/** Integers in hexadecimal are no reason to look for a type: words are shown so anyway. */
async function isWord(
  tree: Node | undefined,
  shown: ShownFrame,
  program: ProgramFrame,
  format: string | undefined,
): Promise<boolean> {
  const isTypeAsked = format !== undefined && format !== 'h';
  return !isTypeAsked && tree !== undefined && isMachineTree(tree, shown, program);
}

/** For value fields and addresses: the number an expression over the machine comes to. */
export async function numberAt(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
): Promise<bigint> {
  return (await evaluateWord(text, await machineAt(state, shown))).value;
}

/**
 * Whether a tree belongs to the machine: all its names are registers, and none of them is the program's at
 * the frame.
 */
export async function isMachineTree(node: Node, shown: ShownFrame, program: ProgramFrame): Promise<boolean> {
  const names = new Set<string>();
  const isRegister = (name: string): boolean => {
    names.add(name);
    return registerAlias(name.toLowerCase()) !== undefined;
  };
  if (!isOfMachine(node, isRegister)) return false;
  const { image, context } = program;
  for (const name of names) if (await image.knows(name, context, shown.inlineDepth)) return false;
  return true;
}

/** What the machine's scope could not evaluate either is reported as the program's scope has it. */
export function firstMistake(mistake: QueryError | undefined, error: unknown): unknown {
  const isMistake = error instanceof UserError && error.id === USER_ERROR.expression;
  if (mistake === undefined || !isMistake) return error;
  return expressionError(mistake);
}

export function expressionError(mistake: QueryError): UserError {
  return new UserError(USER_ERROR.expression, mistake.message, { cause: mistake });
}

/** The tree of a text, as the machine's scope reads it. `undefined` for what is no expression there. */
export function machineTree(text: string, machine: Machine): Node | undefined {
  try {
    return parseForMachine(text, machine);
  } catch (error) {
    if (error instanceof QueryError) return undefined;
    throw error;
  }
}

/**
 * A value of the program, or why there is none. `undefined` for a label, which has no type: it is its
 * address.
 */
export async function valueAt(
  text: string,
  shown: ShownFrame,
  { image, context }: ProgramFrame,
): Promise<EvaluatedValue | QueryError | undefined> {
  const { expression, format } = splitFormat(text);
  try {
    const value = await image.evaluate(expression, context, shown.inlineDepth);
    return value.isTyped ? { kind: 'value', value, shown, format } : undefined;
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
}
