/** Setting what an expression names at a frame: variables of the program, registers, memory. */
import { USER_ERROR, UserError } from '../errors.ts';
import { memoryChanged, registersChanged } from '../session/invalidation.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame } from '../session/stopView.ts';
import { QueryError } from '../symbols/base/queryError.ts';
import type { Node } from '../symbols/expressions/syntaxTree.ts';
import type { Assignment, NamedValue, Value } from '../symbols/values/value.ts';
import { registerAlias } from '../target/registers.ts';
import { hex } from '../target/vmTarget.ts';
import { type Evaluated, expressionError, firstMistake, isMachineTree, machineTree } from './evaluateAt.ts';
import { machineAt } from './machineAt.ts';
import { assignWord, type Machine, wordOf } from './machineScope.ts';
import { type ProgramFrame, programFrame } from './programFrame.ts';

/** A number or a character: checked against the type it is for. Anything else is an expression. */
const LITERAL = /^\s*(?:[-+]?[\d.]|')/;

/** A write that was worked out, and what stands there once it is carried out. */
interface PlannedWrite<T> {
  readonly assignment: Assignment;
  written(): Promise<T>;
}

type Assign = Node & { readonly kind: 'assign' };

/**
 * `$rax = 1`, `p->x += 2`, `*(u32*)0x1000 = 5`, `i++`. `undefined`: the text assigns nothing. Throws
 * UserError.
 */
export async function assignAt(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
): Promise<Evaluated | undefined> {
  const write = await planWrite(state, text, shown);
  if (write === undefined) return undefined;
  await carryOut(state, write.assignment, shown);
  try {
    return await write.written();
  } catch (error) {
    throw error instanceof QueryError ? expressionError(error) : error;
  }
}

/** In the scope whose the place is; a mistake is that of the first scope which was asked. */
async function planWrite(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
): Promise<PlannedWrite<Evaluated> | undefined> {
  const program = shown && (await programFrame(state, shown));
  const machine = await machineAt(state, shown, program?.language);
  const tree = machineTree(text, machine);
  const assign = tree?.kind === 'assign' ? tree : undefined;
  let mistake: QueryError | undefined;
  if (shown !== undefined && program !== undefined && !(await isMachineAssign(assign, shown, program))) {
    try {
      const write = await planInProgram(state, text, shown, program);
      if (write !== undefined) return shownWhenWritten(write, shown);
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      mistake = error;
    }
  }
  try {
    return assign && (await planOnMachine(state, text, assign, shown, machine));
  } catch (error) {
    throw firstMistake(mistake, error);
  }
}

async function isMachineAssign(
  assign: Assign | undefined,
  shown: ShownFrame,
  program: ProgramFrame,
): Promise<boolean> {
  return assign !== undefined && isMachineTree(assign.place, shown, program);
}

async function planOnMachine(
  state: SessionState,
  text: string,
  assign: Assign,
  shown: ShownFrame | undefined,
  machine: Machine,
): Promise<PlannedWrite<Evaluated>> {
  return {
    assignment: await assignWord(assign, text, machine),
    // Registers may have moved with it: the place is looked up anew.
    written: async () => {
      const word = await wordOf(assign.place, text, await machineAt(state, shown));
      return { kind: 'word', word, cpu: shown?.cpu ?? state.currentCpu };
    },
  };
}

function shownWhenWritten(write: PlannedWrite<Value>, shown: ShownFrame): PlannedWrite<Evaluated> {
  return {
    assignment: write.assignment,
    written: async () => ({ kind: 'value', value: await write.written(), shown, format: undefined }),
  };
}

/** `undefined` when the text assigns nothing. Throws QueryError. */
async function planInProgram(
  state: SessionState,
  text: string,
  shown: ShownFrame,
  { image, context }: ProgramFrame,
): Promise<PlannedWrite<Value> | undefined> {
  const compiled = await image.compile(text, context, shown.inlineDepth);
  if (!compiled.assigns) return undefined;
  return {
    assignment: await compiled.assignment(context, shown.inlineDepth),
    // Registers may have moved with it: the place is looked up anew.
    written: async () => {
      const after = (await programFrame(state, shown))?.context ?? context;
      return compiled.place(after, shown.inlineDepth);
    },
  };
}

/** `undefined` when the text assigns nothing, or no program is known. Throws QueryError. */
export async function assignInProgram(
  state: SessionState,
  text: string,
  shown: ShownFrame,
): Promise<Value | undefined> {
  const program = await programFrame(state, shown);
  const write = program && (await planInProgram(state, text, shown, program));
  if (write === undefined) return undefined;
  await carryOut(state, write.assignment, shown);
  return write.written();
}

/**
 * A local or a member of a value: the new value is a literal or an expression of the frame. Throws
 * QueryError.
 */
export async function assignMember(
  state: SessionState,
  { value, expression }: NamedValue,
  text: string,
  shown: ShownFrame,
): Promise<void> {
  const written = LITERAL.test(text)
    ? undefined
    : await assignInProgram(state, `${expression} = ${text}`, shown);
  if (written === undefined) await carryOut(state, await value.assign(text), shown);
}

/** What the program's scope says about a typed value, as an error of that value. */
export async function asBadValue<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof QueryError)
      throw new UserError(USER_ERROR.badValue, error.message, { cause: error });
    throw error;
  }
}

async function carryOut(
  state: SessionState,
  assignment: Assignment,
  shown: ShownFrame | undefined,
): Promise<void> {
  const target = state.requireTarget();
  const cpu = shown?.cpu ?? state.currentCpu;
  if (assignment.kind === 'memory') {
    const { address, bytes } = assignment;
    await target.writeMemory({ address, cpu }, bytes);
    return memoryChanged(state, hex(address), 0, bytes.length);
  }
  if (shown !== undefined && shown.depth > 0) {
    throw new UserError(
      USER_ERROR.badValue,
      'it lives in a register of a calling function, which cannot be set',
    );
  }
  const key = registerAlias(assignment.register)?.key ?? assignment.register;
  await target.writeRegisters(cpu, { [key]: assignment.value });
  registersChanged(state, cpu, [key]);
}
