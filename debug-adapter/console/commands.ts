/**
 * What is typed in the Debug Console: gdb's commands for looking at things. Assignments and expressions are
 * not commands.
 */
import { USER_ERROR, UserError } from '../errors.ts';
import { numberAt, valueAt } from '../evaluation/evaluateAt.ts';
import { programFrame } from '../evaluation/programFrame.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame } from '../session/stopView.ts';
import { QueryError } from '../symbols/base/queryError.ts';
import { examineMemory } from './examine.ts';

/** gdb's `x/16xb ADDRESS`. */
const EXAMINE = /^x(?:\/(\S*))?\s+(.+)$/;
/** gdb's `print/x EXPRESSION`. */
const PRINT = /^(?:p|print|inspect|output)(?:\s*\/(\w+))?\s+(.+)$/s;
/** gdb's `ptype TYPE` and `whatis EXPRESSION`. */
const ASK_TYPE = /^(ptype|whatis)\s+(.+)$/s;

/** `print`: an expression, and how to show it. */
export interface Print {
  readonly expression: string;
  readonly format: string | undefined;
}

/** `print/x EXPRESSION`. A variable may have the name of the command: `p += 2`. */
export function parsePrint(text: string): Print | undefined {
  const [, format, expression] = PRINT.exec(text) ?? [];
  return expression === undefined || /^[-+*/%&|^<>=]/.test(expression) ? undefined : { expression, format };
}

/** The answer of `x`, `ptype` and `whatis`; `undefined` for anything else. */
export async function answerCommand(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
): Promise<string | undefined> {
  const [, how, address] = EXAMINE.exec(text) ?? [];
  if (address !== undefined) {
    const start = await numberAt(state, address, shown);
    return examineMemory(state, shown?.cpu ?? state.currentCpu, how ?? '', start);
  }
  const [, asked, name] = ASK_TYPE.exec(text) ?? [];
  if (asked === undefined || name === undefined || shown === undefined) return undefined;
  return asked === 'ptype' ? wholeType(state, name, shown) : typeOf(state, name, shown);
}

/** A type by its name, else that of an expression, with its members. */
async function wholeType(state: SessionState, name: string, shown: ShownFrame): Promise<string> {
  const frame = await programFrame(state, shown);
  if (frame === undefined) throw noTypes();
  const described = await frame.image.describeType(name);
  if (described !== undefined) return described;
  const type = await typeOf(state, name, shown);
  return (await frame.image.describeType(type.replace(/[\s*&]+$/, ''))) ?? type;
}

async function typeOf(state: SessionState, expression: string, shown: ShownFrame): Promise<string> {
  const program = await programFrame(state, shown);
  if (program === undefined) throw noTypes();
  const found = await valueAt(expression, shown, program);
  if (found !== undefined && !(found instanceof QueryError)) return found.value.typeName;
  const message = found?.message ?? `no type named ${expression}`;
  throw new UserError(USER_ERROR.expression, message, { cause: found });
}

function noTypes(): UserError {
  return new UserError(USER_ERROR.expression, 'no symbols describe types here');
}
