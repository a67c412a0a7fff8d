/**
 * `initialize`: takes what the editor can do, answers what the adapter can do. Nothing is listed here that a
 * test does not use.
 */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { ClientDescription } from '../requestArguments.ts';
import type { SessionState } from '../session/sessionState.ts';

const MODE_TARGETS: DebugProtocol.BreakpointModeApplicability[] = ['source', 'instruction'];

const CAPABILITIES: DebugProtocol.Capabilities = {
  supportsConfigurationDoneRequest: true,
  supportsFunctionBreakpoints: true,
  supportsInstructionBreakpoints: true,
  supportsBreakpointLocationsRequest: true,
  breakpointModes: [
    {
      mode: 'auto',
      label: 'Automatic',
      description: 'Hardware while paging is off or the page is not mapped, int3 once it is',
      appliesTo: MODE_TARGETS,
    },
    {
      mode: 'hw',
      label: 'Hardware',
      description: 'A debug register of the vCPU; there are four',
      appliesTo: MODE_TARGETS,
    },
    {
      mode: 'sw',
      label: 'Software',
      description: 'An int3 instruction, hidden from memory reads',
      appliesTo: MODE_TARGETS,
    },
  ],
  supportsSteppingGranularity: true,
  supportsDelayedStackTraceLoading: true,
  supportsSetVariable: true,
  supportsSetExpression: true,
  supportsValueFormattingOptions: true,
  supportsCompletionsRequest: true,
  completionTriggerCharacters: ['.', '>', '$', ':'],
  supportsEvaluateForHovers: true,
  supportsClipboardContext: true,
  supportsExceptionInfoRequest: true,
  supportsReadMemoryRequest: true,
  supportsWriteMemoryRequest: true,
  supportsDisassembleRequest: true,
  supportsRestartRequest: true,
  supportsTerminateRequest: true,
  supportTerminateDebuggee: true,
  supportSuspendDebuggee: true,
  supportsCancelRequest: true,
};

export function initialize(state: SessionState, args: ClientDescription): DebugProtocol.Capabilities {
  state.client = args;
  state.enter('idle');
  return CAPABILITIES;
}
