/** Requests of protocol/run.ts: run control and breakpoints. */
import type { VcpuStep } from '../../debug/runControl.ts';
import { UserError } from '../../errors.ts';
import {
  BREAKPOINT_MODES,
  type BreakpointMode,
  pause,
  resume,
  setBreakpoints,
  step,
} from '../../protocol/run.ts';
import type { ClientBreakpoint, Session } from '../session.ts';
import { address, type Fields, fields, flag, integer, list, shown } from './decode.ts';
import type { RequestTable } from './table.ts';

const MAX_BREAKPOINTS = 10_000;

export function serveRun(on: RequestTable, session: Session): void {
  on.request0(resume, () => session.resume());
  on.request0(pause, () => session.pause());
  on.request(step, stepParams, (plan) => session.step(plan));
  on.request(setBreakpoints, breakpointsParams, async (wanted) => ({
    breakpoints: await session.setBreakpoints(wanted),
  }));
}

function stepParams(params: unknown): VcpuStep {
  const it = fields(params);
  const range = it['range'] === undefined ? undefined : fields(it['range'], 'range');
  return {
    cpu: integer(it, 'cpu'),
    start: range === undefined ? 0n : address(range['start']),
    end: range === undefined ? 0n : address(range['end']),
    over: flag(it, 'over'),
    interrupts: flag(it, 'interrupts'),
  };
}

function breakpointsParams(params: unknown): readonly ClientBreakpoint[] {
  return list(fields(params)['breakpoints'], 'breakpoints', MAX_BREAKPOINTS).map((entry, i) =>
    breakpoint(fields(entry, `breakpoints[${i}]`)),
  );
}

function breakpoint(it: Fields): ClientBreakpoint {
  return {
    id: integer(it, 'id'),
    address: address(it['address']),
    mode: mode(it['mode']),
    temporary: flag(it, 'temporary'),
    ...(it['cpu'] === undefined ? {} : { cpu: integer(it, 'cpu') }),
    ...(it['stackAbove'] === undefined ? {} : { stackAbove: address(it['stackAbove']) }),
  };
}

function mode(value: unknown): BreakpointMode {
  const found = BREAKPOINT_MODES.find((it) => it === value);
  if (found === undefined)
    throw new UserError(`mode must be one of ${BREAKPOINT_MODES.join(', ')}, not ${shown(value)}`);
  return found;
}
