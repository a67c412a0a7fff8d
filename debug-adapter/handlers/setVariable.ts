/** `setVariable`: gives a register, a flag, a local variable or a part of one the value typed beside it. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import { USER_ERROR, UserError } from '../errors.ts';
import { asBadValue, assignMember } from '../evaluation/assignAt.ts';
import { numberAt } from '../evaluation/evaluateAt.ts';
import { localVariables } from '../evaluation/programFrame.ts';
import { groupMembers, readOnly, registerWrite } from '../rows/registerRows.ts';
import { formatOf, showValue, valueNow } from '../rows/valueRows.ts';
import { registersChanged } from '../session/invalidation.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { VariableContainer } from '../session/stopView.ts';
import type { NamedValue } from '../symbols/values/value.ts';
import { hex } from '../target/vmTarget.ts';

type SetVariableBody = DebugProtocol.SetVariableResponse['body'];

export async function setVariable(
  state: SessionState,
  args: DebugProtocol.SetVariableArguments,
): Promise<SetVariableBody> {
  const container = state.stop.container(args.variablesReference);
  if (container.kind === 'locals' || container.kind === 'value') return setValue(state, container, args);
  if (container.kind === 'group') return setRegister(state, container, args);
  throw readOnly(args.name);
}

async function setRegister(
  state: SessionState,
  { group, shown }: Extract<VariableContainer, { kind: 'group' }>,
  args: DebugProtocol.SetVariableArguments,
): Promise<SetVariableBody> {
  if (shown.depth > 0 && group === 'General') {
    throw new UserError(
      USER_ERROR.badValue,
      `${args.name} is that of a calling function: only the innermost frame's registers can be set`,
    );
  }
  const target = state.requireTarget();
  const before = await target.readRegisters(shown.cpu);
  const value = await numberAt(state, args.value, shown);
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

async function setValue(
  state: SessionState,
  container: Extract<VariableContainer, { kind: 'locals' | 'value' }>,
  args: DebugProtocol.SetVariableArguments,
): Promise<SetVariableBody> {
  const { shown } = container;
  const found = async (): Promise<NamedValue | undefined> => {
    const rows =
      container.kind === 'locals'
        ? await localVariables(state, shown)
        : await (await valueNow(state, container)).children(childIndex(args.name) ?? container.start ?? 0);
    return rows.find((it) => it.name === args.name);
  };
  const member = await found();
  if (member === undefined) throw new UserError(USER_ERROR.badValue, `no variable ${args.name} here`);
  await asBadValue(() => assignMember(state, member, args.value, shown));
  const written = await found();
  if (written === undefined) throw readOnly(args.name);
  return showValue(state, written.value, shown, formatOf(args.format));
}

/** Of an element. */
function childIndex(name: string): number | undefined {
  const [, digits] = /^\[(\d{1,15})\]$/.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
