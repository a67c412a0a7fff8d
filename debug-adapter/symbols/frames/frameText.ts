/** Call frame rules as text: `rsp + 16`, `[cfa - 8]`. */
import type { CfaRule, FrameRow, RegisterRule } from '../../dwarf/cfi.ts';
import { describeExpression } from '../../dwarf/expressionText.ts';
import type { MachineRegisters } from './machineRegisters.ts';

export interface FrameDescription {
  /** `rsp + 16` */
  readonly cfa: string;
  /** Register to where the caller's value is: `[cfa - 8]`, `cfa`, `undefined`. */
  readonly registers: Readonly<Record<string, string>>;
}

export function describeRow(
  row: FrameRow,
  machine: MachineRegisters,
  format: { readonly addressSize: number },
): FrameDescription {
  const registerName = (register: number): string => machine.names[register] ?? `r${register}`;
  const expressionText = (expression: Uint8Array): string =>
    describeExpression(expression, { littleEndian: true, addressSize: format.addressSize, registerName });
  const registers: Record<string, string> = {};
  for (const [register, rule] of [...row.registers].sort(([a], [b]) => a - b)) {
    registers[registerName(register)] = ruleText(rule, registerName, expressionText);
  }
  return { cfa: cfaText(row.cfa, registerName, expressionText), registers };
}

function cfaText(
  rule: CfaRule,
  registerName: (register: number) => string,
  text: (expression: Uint8Array) => string,
): string {
  return rule.kind === 'register'
    ? registerName(rule.register) + offsetText(rule.offset)
    : text(rule.expression);
}

function ruleText(
  rule: RegisterRule,
  registerName: (register: number) => string,
  text: (expression: Uint8Array) => string,
): string {
  switch (rule.kind) {
    case 'undefined':
      return 'undefined';
    case 'sameValue':
      return 'same value';
    case 'offset':
      return `[cfa${offsetText(rule.offset)}]`;
    case 'valOffset':
      return `cfa${offsetText(rule.offset)}`;
    case 'register':
      return registerName(rule.register);
    case 'expression':
      return `[${text(rule.expression)}]`;
    case 'valExpression':
      return text(rule.expression);
  }
}

function offsetText(offset: number): string {
  return offset < 0 ? ` - ${-offset}` : offset > 0 ? ` + ${offset}` : '';
}
