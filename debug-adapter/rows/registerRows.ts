/** Rows of a vCPU's registers: in groups, decoded, and what setting one of them writes. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { CpuRegisters, SegmentValue } from '../../vmm-core/protocol/registers.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import { frameNow, memoryReferences } from '../session/frames.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame } from '../session/stopView.ts';
import {
  controlRows,
  decodeBits,
  fieldValue,
  formatRegister,
  formatSegment,
  generalRows,
  type RegisterGroup,
  type RegisterRow,
  registerValue,
  RFLAGS_BITS,
  SEGMENT_NAMES,
  TABLE_ROWS,
  withField,
} from '../target/registers.ts';
import type { UnwindFrame } from '../target/unwindFrame.ts';
import { hex } from '../target/vmTarget.ts';

type Variable = DebugProtocol.Variable;

export function groupVariable(
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
    // No kind "virtual": VS Code greys it out until it is illegible.
    presentationHint: { attributes: ['readOnly'] },
  };
}

export async function groupMembers(
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
  // A caller's frame knows only what the unwinder recovered; system registers are the vCPU's in every frame.
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

export function segmentMembers(segment: SegmentValue | undefined): Variable[] {
  return Object.entries(segment ?? {}).map(([name, value]) => ({
    name,
    value: typeof value === 'boolean' ? (value ? '1' : '0') : String(value),
    variablesReference: 0,
    presentationHint: { attributes: ['readOnly'] },
    ...(name === 'base' ? { memoryReference: String(value) } : {}),
  }));
}

/**
 * The register behind a row of a group, and the value it gets. Throws UserError when the value does not fit.
 */
export function registerWrite(
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

export function readOnly(name: string): UserError {
  return new UserError(USER_ERROR.badValue, `${name} cannot be set`);
}

function rowsOf(group: string, registers: CpuRegisters): RegisterRow[] {
  if (group === 'General') return generalRows(registers.mode);
  if (group === 'Control') return controlRows(registers.mode);
  return group === 'Segment' ? [...TABLE_ROWS] : [];
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
