/** `scopes` and `variables`: a frame's locals and registers, and what they expand to. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { RequestCall } from '../dapConnection.ts';
import { localVariables } from '../evaluation/programFrame.ts';
import { Pace } from '../pace.ts';
import { groupMembers, groupVariable, segmentMembers } from '../rows/registerRows.ts';
import { formatOf, showChildren, showLocals } from '../rows/valueRows.ts';
import type { SessionState } from '../session/sessionState.ts';
import { REGISTER_GROUPS } from '../target/registers.ts';

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
  if ((await localVariables(state, shown)).length === 0) return { scopes: [registers] };
  const variablesReference = stop.variables.add({ kind: 'locals', shown });
  const locals = { name: 'Locals', presentationHint: 'locals', variablesReference, expensive: false };
  return { scopes: [locals, registers] };
}

export async function variables(
  state: SessionState,
  args: DebugProtocol.VariablesArguments,
  call: RequestCall,
): Promise<{ variables: DebugProtocol.Variable[] }> {
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
