/** Lines and columns: DWARF counts both from 1, the client says where it counts from. */
import type { SessionState } from './sessionState.ts';

export function toClientLine(state: SessionState, line: number): number {
  return state.client.linesStartAt1 === false ? line - 1 : line;
}

export function toServerLine(state: SessionState, line: number): number {
  return state.client.linesStartAt1 === false ? line + 1 : line;
}

export function toClientColumn(state: SessionState, column: number): number {
  if (state.client.columnsStartAt1 === false) return Math.max(0, column - 1);
  return Math.max(1, column);
}

export function toServerColumn(state: SessionState, column: number): number {
  return state.client.columnsStartAt1 === false ? column + 1 : column;
}
