/** Setting what the program has: from the Variables view, from a watch, from the Debug Console. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { USER_ERROR, UserError } from '../errors.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame } from '../session/stopView.ts';
import { QueryError } from '../symbols/base/queryError.ts';
import { registerAlias } from '../target/registers.ts';
import { hex } from '../target/vmTarget.ts';
import { explain, formatOf, showValue } from './locals.ts';
import type { Assignment, NamedValue, Value } from '../symbols/values/value.ts';
import { memoryChanged, registersChanged } from '../session/invalidation.ts';

/** A number or a character: checked against the type it is for. Anything else is an expression. */
const LITERAL = /^\s*(?:[-+]?[\d.]|')/;

/** A statement that changes something: `a = b`, `x++`. `undefined` when the text is none, or nothing here knows its names. */
export async function assignTyped(
  state: SessionState,
  text: string,
  shown: ShownFrame,
): Promise<Value | undefined> {
  const explained = await explain(state, shown);
  if (explained === undefined) return undefined;
  const { image, context } = explained;
  const compiled = await image.compile(text, context, shown.inlineDepth);
  if (!compiled.assigns) return undefined;
  await carryOut(state, await compiled.assignment(context, shown.inlineDepth), shown);
  // Registers may have moved with it: the place is looked up anew.
  const after = (await explain(state, shown))?.context ?? context;
  return compiled.place(after, shown.inlineDepth);
}

/** A watch is set by its expression. */
export async function setExpression(
  state: SessionState,
  args: DebugProtocol.SetExpressionArguments,
): Promise<DebugProtocol.SetExpressionResponse['body']> {
  if (args.frameId === undefined)
    throw new UserError(USER_ERROR.badValue, 'a frame is needed to set an expression');
  const shown = state.stop.frame(args.frameId);
  const value = await asUserError(() => assignTyped(state, `${args.expression} = ${args.value}`, shown));
  if (value === undefined)
    throw new UserError(USER_ERROR.badValue, `${args.expression} is nothing the program's symbols describe`);
  return showValue(state, value, shown, formatOf(args.format));
}

/** setVariable on a local or on a member of a value: the new value is a literal or an expression of the frame. */
export async function setMember(
  state: SessionState,
  member: NamedValue | undefined,
  name: string,
  text: string,
  shown: ShownFrame,
): Promise<void> {
  if (member === undefined) throw new UserError(USER_ERROR.badValue, `no variable ${name} here`);
  await asUserError(async () => {
    if (LITERAL.test(text)) return carryOut(state, await member.value.assign(text), shown);
    const written = await assignTyped(state, `${member.expression} = ${text}`, shown);
    if (written === undefined) return carryOut(state, await member.value.assign(text), shown);
  });
}

async function asUserError<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof QueryError)
      throw new UserError(USER_ERROR.badValue, error.message, { cause: error });
    throw error;
  }
}

async function carryOut(state: SessionState, assignment: Assignment, shown: ShownFrame): Promise<void> {
  const target = state.requireTarget();
  const { cpu } = shown;
  if (assignment.kind === 'memory') {
    const { address, bytes } = assignment;
    await target.writeMemory({ address, cpu }, bytes);
    return memoryChanged(state, hex(address), 0, bytes.length);
  }
  if (shown.depth > 0) {
    throw new UserError(
      USER_ERROR.badValue,
      'it lives in a register of a calling function, which cannot be set',
    );
  }
  const key = registerAlias(assignment.register)?.key ?? assignment.register;
  await target.writeRegisters(cpu, { [key]: assignment.value });
  registersChanged(state, cpu, [key]);
}
