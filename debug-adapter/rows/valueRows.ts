/** Rows of the program's values: local variables, what expressions evaluate to, what they expand to. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { USER_ERROR, UserError } from '../errors.ts';
import { localVariables, programValue } from '../evaluation/programFrame.ts';
import type { Pace } from '../pace.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame, VariableContainer } from '../session/stopView.ts';
import { QueryError } from '../symbols/base/queryError.ts';
import type { NamedValue, Value } from '../symbols/values/value.ts';
import { hex } from '../target/vmTarget.ts';

/** Shown to a client that asks for all; a row below them leads to the next ones. */
const DEFAULT_CHILDREN = 1000;
/** Asked for at once. */
const MAX_CHILDREN = 10_000;

/** Parameters first, as they are written; an inner variable hides an outer one of its name. */
export async function showLocals(
  state: SessionState,
  shown: ShownFrame,
  pace: Pace,
  format?: string,
): Promise<DebugProtocol.Variable[]> {
  const variables = await localVariables(state, shown);
  const visible = variables.filter((it, i) => variables.findIndex(({ name }) => name === it.name) === i);
  const ordered = [...visible.filter((it) => it.isParameter), ...visible.filter((it) => !it.isParameter)];
  return showAll(state, ordered, shown, pace, format);
}

type ValueContainer = Extract<VariableContainer, { kind: 'value' }>;

/**
 * A value that was shown, as it is now: one in a register, or reached through one, was read at an earlier
 * moment.
 */
export async function valueNow(state: SessionState, container: ValueContainer): Promise<Value> {
  const { value, shown, asOfWrite } = container;
  if (asOfWrite === state.stop.writes) return value;
  try {
    const again = await programValue(state, value.expression, shown);
    return again?.typeName === value.typeName ? again : value;
  } catch (error) {
    if (error instanceof QueryError) return value; // nothing evaluates to it: it stays what it was
    throw error;
  }
}

export async function showChildren(
  state: SessionState,
  container: ValueContainer,
  page: Pick<DebugProtocol.VariablesArguments, 'start' | 'count' | 'filter' | 'format'>,
  pace: Pace,
): Promise<DebugProtocol.Variable[]> {
  const value = await valueNow(state, container);
  const { named, indexed } = await value.childCounts();
  // A value has members or elements, never both: the other filter gets nothing.
  if (page.filter !== undefined && (page.filter === 'named') !== named > 0) return [];
  const asked = page.count ?? 0;
  if (asked > MAX_CHILDREN)
    throw new UserError(
      USER_ERROR.limit,
      `variables: ${asked} children at once: at most ${MAX_CHILDREN}, ask for them in pages`,
    );
  const start = (container.start ?? 0) + (page.start ?? 0);
  const children = await value.children(start, asked === 0 ? DEFAULT_CHILDREN : asked);
  const rows = await showAll(state, children, container.shown, pace, formatOf(page.format));
  const left = Math.max(named, indexed) - start - children.length;
  // A client that asks for a page knows about the others.
  const leadsOn = asked === 0 && left > 0 && children.length > 0;
  return leadsOn ? [...rows, moreRow(state, container, start + children.length, left)] : rows;
}

/** Leads on to the children that were too many to show. */
function moreRow(
  state: SessionState,
  container: ValueContainer,
  start: number,
  left: number,
): DebugProtocol.Variable {
  const next = Math.min(left, DEFAULT_CHILDREN);
  return {
    name: `… ${grouped(left)} more`,
    value: next < left ? `unfold for the next ${grouped(next)}` : '',
    variablesReference: state.stop.variables.add({ ...container, start }),
    presentationHint: { kind: 'virtual', attributes: ['readOnly'] },
  };
}

/** `12 345`. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ' ');
}

async function showAll(
  state: SessionState,
  values: readonly NamedValue[],
  shown: ShownFrame,
  pace: Pace,
  format: string | undefined,
): Promise<DebugProtocol.Variable[]> {
  const rows: DebugProtocol.Variable[] = [];
  for (const { name, expression, value, role } of values) {
    await pace.turn();
    const row = { name, evaluateName: expression, ...(await showValue(state, value, shown, format)) };
    if (role === 'base') rows.push({ ...row, presentationHint: { kind: 'baseClass' } });
    else if (role === 'static')
      rows.push({ ...row, presentationHint: { kind: 'data', attributes: ['static'] } });
    else rows.push(row);
  }
  return rows;
}

/** What an editor's switch to hexadecimal asks for: integers in hex, everything else as it is. */
export function formatOf(asked: DebugProtocol.ValueFormat | undefined): string | undefined {
  return asked?.hex === true ? 'h' : undefined;
}

type ShownValue = Pick<
  DebugProtocol.Variable,
  'value' | 'type' | 'variablesReference' | 'namedVariables' | 'indexedVariables' | 'memoryReference'
>;

export async function showValue(
  state: SessionState,
  value: Value,
  shown: ShownFrame,
  format?: string,
): Promise<ShownValue> {
  const { stop } = state;
  const { named, indexed } = await value.childCounts();
  const unfolds = named > 0 || indexed > 0;
  const text = await displayed(value, format);
  return {
    value: text,
    type: value.typeName,
    variablesReference: unfolds
      ? stop.variables.add({ kind: 'value', value, asOfWrite: stop.writes, shown })
      : 0,
    ...(named > 0 ? { namedVariables: named } : {}),
    ...(indexed > 0 ? { indexedVariables: indexed } : {}),
    ...(await memoryReference(value)),
  };
}

/** Of a pointer, what it points to; of anything else, where it is. */
async function memoryReference(value: Value): Promise<Pick<ShownValue, 'memoryReference'>> {
  const address = await value.reference();
  return address === undefined ? {} : { memoryReference: hex(address) };
}

/** A value that cannot be read says so in its place; the others are still shown. */
async function displayed(value: Value, format: string | undefined): Promise<string> {
  try {
    return await value.display(format);
  } catch (error) {
    if (error instanceof QueryError) return `<${error.message}>`;
    throw error;
  }
}
