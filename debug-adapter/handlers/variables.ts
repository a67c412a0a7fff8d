/** Scopes and what unfolds in them: the vCPU's registers in groups, decoded, readable and settable. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { CpuRegisters, SegmentValue } from '../../vmm-core/protocol/registers.ts';
import type { RequestCall } from '../dapConnection.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import { Pace } from '../pace.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame, VariableContainer } from '../session/stopView.ts';
import {
  controlRows,
  decodeBits,
  fieldValue,
  formatRegister,
  formatSegment,
  generalRows,
  REGISTER_GROUPS,
  type RegisterGroup,
  type RegisterRow,
  registerValue,
  RFLAGS_BITS,
  SEGMENT_NAMES,
  TABLE_ROWS,
  withField,
} from '../target/registers.ts';
import type { UnwindFrame } from '../target/unwind.ts';
import { hex } from '../target/vmTarget.ts';
import { evaluateNumber } from './evaluate.ts';
import { frameNow, memoryReferences } from '../session/frames.ts';
import { setMember } from './assignments.ts';
import {
  formatOf,
  hasLocals,
  localVariables,
  showChildren,
  showLocals,
  showValue,
  valueNow,
} from './locals.ts';
import type { NamedValue } from '../symbols/values/value.ts';
import { registersChanged } from '../session/invalidation.ts';

type Variable = DebugProtocol.Variable;

export async function scopes(
  state: SessionState,
  args: DebugProtocol.ScopesArguments,
): Promise<{ scopes: DebugProtocol.Scope[] }> {
  const { stop } = state;
  const shown = stop.frame(args.frameId);
  const registers: DebugProtocol.Scope = {
    name: 'Registers',
    presentationHint: 'registers',
    variablesReference: stop.variables.add({ kind: 'registers', shown }),
    namedVariables: REGISTER_GROUPS.length,
    expensive: false,
  };
  if (!(await hasLocals(state, shown))) return { scopes: [registers] };
  const variablesReference = stop.variables.add({ kind: 'locals', shown });
  const locals = { name: 'Locals', presentationHint: 'locals', variablesReference, expensive: false };
  return { scopes: [locals, registers] };
}

export async function variables(
  state: SessionState,
  args: DebugProtocol.VariablesArguments,
  call: RequestCall,
): Promise<{ variables: Variable[] }> {
  const container = state.stop.container(args.variablesReference);
  const { shown } = container;
  const pace = new Pace(call.signal);
  const registers = await state.requireTarget().readRegisters(shown.cpu);
  switch (container.kind) {
    case 'registers':
      return { variables: REGISTER_GROUPS.map((group) => groupVariable(state, group, shown, registers)) };
    case 'group':
      return { variables: await groupMembers(state, container.group, shown, registers) };
    case 'segment':
      return { variables: segmentMembers(registers.segments[container.name]) };
    case 'locals':
      return { variables: await showLocals(state, shown, pace, formatOf(args.format)) };
    case 'value':
      return { variables: await showChildren(state, container, args, pace) };
  }
}

export async function setVariable(
  state: SessionState,
  args: DebugProtocol.SetVariableArguments,
): Promise<DebugProtocol.SetVariableResponse['body']> {
  const container = state.stop.container(args.variablesReference);
  if (container.kind === 'locals' || container.kind === 'value') return setTyped(state, container, args);
  if (container.kind !== 'group') throw readOnly(args.name);
  const { group, shown } = container;
  if (shown.depth > 0 && group === 'General') {
    throw new UserError(
      USER_ERROR.badValue,
      `${args.name} is that of a calling function: only the innermost frame's registers can be set`,
    );
  }
  const target = state.requireTarget();
  const before = await target.readRegisters(shown.cpu);
  const value = await evaluateNumber(state, args.value, shown);
  const write = registerWrite(group, args.name, value, before);
  const after = await target.writeRegisters(shown.cpu, { [write.key]: write.value });
  registersChanged(state, shown.cpu, [write.key]);
  const written = (await groupMembers(state, group, shown, after)).find((it) => it.name === args.name);
  return {
    value: written?.value ?? hex(write.value),
    variablesReference: 0,
    ...(written?.type === undefined ? {} : { type: written.type }),
  };
}

async function setTyped(
  state: SessionState,
  container: Extract<VariableContainer, { kind: 'locals' | 'value' }>,
  args: DebugProtocol.SetVariableArguments,
): Promise<DebugProtocol.SetVariableResponse['body']> {
  const { shown } = container;
  const found = async (): Promise<NamedValue | undefined> => {
    const rows =
      container.kind === 'locals'
        ? await localVariables(state, shown)
        : await (await valueNow(state, container)).children(childIndex(args.name) ?? container.start ?? 0);
    return rows.find((it) => it.name === args.name);
  };
  await setMember(state, await found(), args.name, args.value, shown);
  const written = await found();
  if (written === undefined) throw readOnly(args.name);
  return showValue(state, written.value, shown, formatOf(args.format));
}

/** Of an element. */
function childIndex(name: string): number | undefined {
  const [, digits] = /^\[(\d{1,15})\]$/.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** The register behind a row of a group, and the value it gets. Throws UserError when the value does not fit. */
function registerWrite(
  group: string,
  name: string,
  value: bigint,
  before: CpuRegisters,
): { readonly key: string; readonly value: bigint } {
  if (group === 'Flags') {
    const field = RFLAGS_BITS.find((it) => it.name === name);
    if (field === undefined) throw readOnly(name);
    return {
      key: 'rflags',
      value: withField(registerValue(before, 'rflags'), field, fit(name, value, field.widthBits)),
    };
  }
  if (group === 'Segment' && SEGMENT_NAMES.some((it) => it === name))
    return { key: name, value: fit(name, value, 16) };
  const row = rowsOf(group, before).find((it) => it.name === name);
  if (row === undefined) throw readOnly(name);
  return { key: row.key, value: fit(name, value, row.widthBits) };
}

/** Negative values wrap, as long as they fit as signed ones. */
function fit(name: string, value: bigint, widthBits: number): bigint {
  const narrowed = BigInt.asUintN(widthBits, value);
  if (narrowed === value || BigInt.asUintN(64, BigInt.asIntN(widthBits, value)) === value) return narrowed;
  throw new UserError(
    USER_ERROR.badValue,
    `${hex(value)} does not fit in ${name}, which has ${widthBits} bits`,
  );
}

function readOnly(name: string): UserError {
  return new UserError(USER_ERROR.badValue, `${name} cannot be set`);
}

function rowsOf(group: string, registers: CpuRegisters): RegisterRow[] {
  if (group === 'General') return generalRows(registers.mode);
  if (group === 'Control') return controlRows(registers.mode);
  return group === 'Segment' ? [...TABLE_ROWS] : [];
}

function groupVariable(
  state: SessionState,
  group: RegisterGroup,
  shown: ShownFrame,
  registers: CpuRegisters,
): Variable {
  const flags = registerValue(registers, 'rflags');
  const value = group === 'Flags' ? `${hex(flags)}${decodeBits('rflags', flags)}` : '';
  const variablesReference = state.stop.variables.add({ kind: 'group', group, shown });
  return {
    name: group,
    value,
    variablesReference,
    presentationHint: { attributes: ['readOnly'] }, // no kind "virtual": VS Code greys it until it cannot be read
  };
}

async function groupMembers(
  state: SessionState,
  group: string,
  shown: ShownFrame,
  registers: CpuRegisters,
): Promise<Variable[]> {
  if (group === 'Flags') {
    const flags = registerValue(registers, 'rflags');
    return RFLAGS_BITS.map((it) => ({
      name: it.name,
      value: `${fieldValue(flags, it)}`,
      variablesReference: 0,
    }));
  }
  const reference = await memoryReferences(state, shown.cpu);
  const caller = shown.depth > 0 ? await frameNow(state, shown) : undefined;
  const rows = rowsOf(group, registers).map((row) => rowVariable(row, caller, registers, reference));
  if (group !== 'Segment') return rows;
  return [...SEGMENT_NAMES.flatMap((name) => segmentVariable(state, name, shown, registers)), ...rows];
}

function rowVariable(
  row: RegisterRow,
  caller: UnwindFrame | undefined,
  registers: CpuRegisters,
  reference: (address: bigint) => string,
): Variable {
  const base = { name: row.name, variablesReference: 0, type: `u${row.widthBits}` };
  // A caller's frame knows only what the unwinder recovered; system registers are the vCPU's whatever the frame.
  const inFrame = caller === undefined || !generalRows(registers.mode).some((it) => it.key === row.key);
  const value = inFrame ? registerValue(registers, row.key) : caller.registers.get(row.key);
  if (value === undefined)
    return { ...base, value: '<not saved>', presentationHint: { attributes: ['readOnly'] } };
  return {
    ...base,
    value: `${formatRegister(value, row.widthBits)}${decodeBits(row.key, value)}`,
    ...(caller === undefined ? { evaluateName: `$${row.name}` } : {}),
    ...memoryReference(row, value, reference),
  };
}

/** CR3 holds more than the address: the low 12 bits are flags or the PCID (SDM vol. 3 §4.5). */
const CR3_ADDRESS = 0x000f_ffff_ffff_f000n;

function memoryReference(
  row: RegisterRow,
  value: bigint,
  reference: (address: bigint) => string,
): Pick<Variable, 'memoryReference'> {
  if (row.pointsTo === undefined) return {};
  return {
    memoryReference: row.pointsTo === 'physical' ? `phys:${hex(value & CR3_ADDRESS)}` : reference(value),
  };
}

function segmentVariable(
  state: SessionState,
  name: string,
  shown: ShownFrame,
  registers: CpuRegisters,
): Variable[] {
  const segment = registers.segments[name];
  if (segment === undefined) return [];
  const variablesReference = state.stop.variables.add({ kind: 'segment', name, shown });
  return [{ name, value: formatSegment(segment), variablesReference, type: 'segment' }];
}

function segmentMembers(segment: SegmentValue | undefined): Variable[] {
  return Object.entries(segment ?? {}).map(([name, value]) => ({
    name,
    value: typeof value === 'boolean' ? (value ? '1' : '0') : String(value),
    variablesReference: 0,
    presentationHint: { attributes: ['readOnly'] },
    ...(name === 'base' ? { memoryReference: String(value) } : {}),
  }));
}
