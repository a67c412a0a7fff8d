/**
 * What could follow in the Debug Console: members after a dot or an arrow, registers after a dollar,
 * otherwise names known at the frame.
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame } from '../session/stopView.ts';
import { QueryError } from '../symbols/base/queryError.ts';
import { generalRows } from '../target/registers.ts';
import { localVariables, programValue } from '../evaluation/programFrame.ts';
import type { NamedValue } from '../symbols/values/value.ts';

const MAX_MEMBERS = 1000;
/**
 * What is completed is at the end of the text and no longer than this: the patterns below try every starting
 * place.
 */
const MAX_TYPED = 1000;
/** The operand before the last dot or arrow: names, members, elements and one level of parentheses. */
const MEMBER = /((?:\w|::|\.|->|\[[^[\]]*\]|\([^()]*\))+)(?:\.|->)(\w*)$/;

export async function completions(
  state: SessionState,
  args: DebugProtocol.CompletionsArguments,
): Promise<DebugProtocol.CompletionsResponse['body']> {
  if (args.frameId === undefined || state.requireTarget().state !== 'paused') return { targets: [] };
  const shown = state.stop.frame(args.frameId);
  const firstColumn = state.client.columnsStartAt1 === false ? 0 : 1;
  const typed = (args.text.split('\n')[(args.line ?? 1) - 1] ?? '')
    .slice(0, Math.max(0, args.column - firstColumn))
    .slice(-MAX_TYPED);
  const [, owner, member] = MEMBER.exec(typed) ?? [];
  if (owner !== undefined) return { targets: await members(state, owner, member ?? '', shown) };
  const [, register] = /\$(\w*)$/.exec(typed) ?? [];
  if (register !== undefined) return { targets: await registers(state, register, shown) };
  const [word = ''] = /\w*$/.exec(typed) ?? [];
  const variables = targetsOf(await localVariables(state, shown), word, 'variable');
  if (word === '') return { targets: variables };
  // The program's names win over those of registers, which sort after them: editors sort by `sortText`.
  const rest = (await registers(state, word, shown)).filter(({ label }) =>
    variables.every((it) => it.label !== label),
  );
  return { targets: [...variables, ...rest.map((it) => ({ ...it, sortText: `~${it.label}` }))] };
}

async function members(
  state: SessionState,
  owner: string,
  prefix: string,
  shown: ShownFrame,
): Promise<DebugProtocol.CompletionItem[]> {
  try {
    const value = await programValue(state, owner, shown);
    if (value === undefined) return [];
    const { indexed } = await value.childCounts();
    return indexed > 0 ? [] : targetsOf(await value.children(0, MAX_MEMBERS), prefix, 'field');
  } catch (error) {
    if (error instanceof QueryError) return []; // not an expression yet
    throw error;
  }
}

async function registers(
  state: SessionState,
  prefix: string,
  shown: ShownFrame,
): Promise<DebugProtocol.CompletionItem[]> {
  const { mode } = await state.requireTarget().readRegisters(shown.cpu);
  const names = generalRows(mode).map(({ name }) => ({ name }));
  return targetsOf(names, prefix, 'property');
}

function targetsOf(
  rows: readonly Pick<NamedValue, 'name'>[],
  prefix: string,
  type: DebugProtocol.CompletionItemType,
): DebugProtocol.CompletionItem[] {
  const names = new Set(rows.map(({ name }) => name));
  return [...names]
    .filter((name) => /^\w+$/.test(name) && name.startsWith(prefix))
    .map((label) => ({ label, type, length: prefix.length }));
}
