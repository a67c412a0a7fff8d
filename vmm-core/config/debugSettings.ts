/**
 * The settings of a debug session, in rows like those of a VM: the debug adapter reads them, and the editor
 * shows them.
 */
import { attachedKernel } from './settings/boot.ts';
import {
  attachedSocket,
  attachedVm,
  breakpointMode,
  cwd,
  sourceMap,
  stepInterrupts,
  stopOnEntry,
  symbolFiles,
} from './settings/debug.ts';
import { configurationName } from './settings/hardware.ts';
import type { Rows } from './rows.ts';

/** Of `launch` and `attach`. */
export const DEBUG_SETTINGS = {
  stopOnEntry,
  symbolFiles,
  sourceMap,
  breakpointMode,
  stepInterrupts,
} as const satisfies Rows;

/** Of both, and of every debug type. */
export const EDITOR_SETTINGS = { cwd } as const satisfies Rows;

/** Of `attach` alone. */
export const ATTACH_SETTINGS = {
  name: configurationName,
  vm: attachedVm,
  socket: attachedSocket,
  kernel: attachedKernel,
} as const satisfies Rows;
