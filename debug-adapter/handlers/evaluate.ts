/**
 * `evaluate`: watches, hovers and the Debug Console, where expressions may also assign and gdb's commands
 * work.
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { answerCommand, parsePrint } from '../console/commands.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import { assignAt } from '../evaluation/assignAt.ts';
import { type Evaluated, evaluateAt } from '../evaluation/evaluateAt.ts';
import type { MachineWord } from '../evaluation/machineScope.ts';
import { formatOf, showValue } from '../rows/valueRows.ts';
import { framesOf } from '../session/frames.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame } from '../session/stopView.ts';
import { QueryError } from '../symbols/base/queryError.ts';
import type { AddressView } from '../target/addressView.ts';
import { hex } from '../target/vmTarget.ts';

type EvaluateBody = DebugProtocol.EvaluateResponse['body'];

/** Values below it are numbers; what is mapped there, if anything, has no symbol. */
const FIRST_SYMBOL = 0x1000n;

export async function evaluate(
  state: SessionState,
  args: DebugProtocol.EvaluateArguments,
): Promise<EvaluateBody> {
  const shown = args.frameId === undefined ? await topShownFrame(state) : state.stop.frame(args.frameId);
  const text = args.expression.trim();
  const format = formatOf(args.format);
  // A watch must not change what it watches.
  if (args.context !== 'repl') return show(state, await evaluateAt(state, text, shown, format));
  try {
    return await answerConsole(state, text, shown, format);
  } catch (error) {
    throw withCaret(error, text);
  }
}

/** Without a frame, the one of the vCPU that stopped last. */
async function topShownFrame(state: SessionState): Promise<ShownFrame | undefined> {
  if (state.requireTarget().state !== 'paused') return undefined;
  const cpu = state.currentCpu;
  const [frame] = await framesOf(state, cpu, 1);
  return frame && { cpu, depth: 0, inlineDepth: 0 };
}

async function answerConsole(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
  format: string | undefined,
): Promise<EvaluateBody> {
  const answer = await answerCommand(state, text, shown);
  if (answer !== undefined) return { result: answer, variablesReference: 0 };
  const print = parsePrint(text);
  const evaluated =
    print === undefined
      ? ((await assignAt(state, text, shown)) ?? (await evaluateAt(state, text, shown, format)))
      : await evaluateAt(state, print.expression, shown, print.format ?? format);
  return show(state, evaluated);
}

/** The place of a mistake under the expression it is in. */
function withCaret(error: unknown, text: string): unknown {
  const { cause } = error instanceof UserError ? error : { cause: error };
  if (!(cause instanceof QueryError) || cause.column === undefined || text.includes('\n')) return error;
  const caret = `${' '.repeat(cause.column - 1)}^`;
  return new UserError(USER_ERROR.expression, `${cause.message}\n${text}\n${caret}`, { cause });
}

async function show(state: SessionState, evaluated: Evaluated): Promise<EvaluateBody> {
  if (evaluated.kind === 'word') return describe(await state.viewOf(evaluated.cpu), evaluated.word);
  const { value, shown, format } = evaluated;
  const { value: result, ...rest } = await showValue(state, value, shown, format);
  return { result, ...rest };
}

/** `0x100120 <kmain+0x20>`, or `0x2a (42)` for what is not an address. */
function describe(view: AddressView, { value, signed, address }: MachineWord): EvaluateBody {
  const symbol = value < FIRST_SYMBOL ? undefined : view.describe(value);
  const note = symbol === undefined ? `(${signed ?? value})` : `<${symbol}>`;
  return {
    result: `${hex(value)} ${note}`,
    variablesReference: 0,
    memoryReference: hex(address ?? value),
  };
}
