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
import { languageOf, machineAt } from './machineAt.ts';
import { evaluateWord, isOfMachine, type MachineWord, parseForMachine } from './machineScope.ts';
import { programFrame, programValue } from './programFrame.ts';

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
  // Hexadecimal integers are no reason to look for a type: words are shown like that anyway.
  const isTypeAsked = format !== undefined && format !== 'h';
  const isProgram = shown !== undefined && (isTypeAsked || !(await isWord(state, text, shown)));
  const found = isProgram ? await valueAt(state, text, shown) : undefined;
  if (found !== undefined && !(found instanceof QueryError))
    return { ...found, format: found.format ?? format };
  try {
    const word = await evaluateWord(text, await machineAt(state, shown));
    return { kind: 'word', word, cpu: shown?.cpu ?? state.currentCpu };
  } catch (error) {
    throw firstMistake(found, error);
  }
}

/** For value fields and addresses: the number that an expression over the machine evaluates to. */
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
export async function isMachineTree(state: SessionState, node: Node, shown: ShownFrame): Promise<boolean> {
  const names = new Set<string>();
  const isRegister = (name: string): boolean => {
    names.add(name);
    return registerAlias(name.toLowerCase()) !== undefined;
  };
  if (!isOfMachine(node, isRegister)) return false;
  const frame = names.size === 0 ? undefined : await programFrame(state, shown);
  if (frame === undefined) return true;
  for (const name of names) if (await frame.image.knows(name, frame.context, shown.inlineDepth)) return false;
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

/** The tree of a text, as the machine's scope reads it. `undefined` for what is not an expression there. */
export async function machineTree(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
): Promise<Node | undefined> {
  const language = shown === undefined ? 'c' : await languageOf(state, shown);
  try {
    return parseForMachine(text, { language, symbol: (name) => state.symbols.addressByName(name) });
  } catch (error) {
    if (error instanceof QueryError) return undefined;
    throw error;
  }
}

async function isWord(state: SessionState, text: string, shown: ShownFrame): Promise<boolean> {
  const node = await machineTree(state, text, shown);
  return node !== undefined && isMachineTree(state, node, shown);
}

/**
 * A value of the program, or why there is none. `undefined` where nothing has types: there a label is its
 * address.
 */
export async function valueAt(
  state: SessionState,
  text: string,
  shown: ShownFrame,
): Promise<EvaluatedValue | QueryError | undefined> {
  const { expression, format } = splitFormat(text);
  try {
    const value = await programValue(state, expression, shown);
    return value?.isTyped === true ? { kind: 'value', value, shown, format } : undefined;
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
}
