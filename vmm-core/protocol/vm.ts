/**
 * The life of a VM: handshake, create, run state, end. Served by vmm-core's main thread on the control
 * socket; every client (CLI, extension, debug adapter) is equal.
 */
import { NotificationType, RequestType, RequestType0 } from 'vscode-jsonrpc';
import type { VmConfig } from '../config/vmConfig.ts';
import type { FatalCause, PowerCause } from './stopCause.ts';

/** `empty`: no VM created yet (a warm core). `paused`: created, or stopped by the debugger or a client. */
export type VmState = 'empty' | 'paused' | 'running' | 'ended';

export interface InitializeParams {
  readonly protocolVersion: number;
  /** For the log: `vscode`, `debug-adapter`, `vmm`. */
  readonly client: string;
  /**
   * While a debugger is connected, a triple fault or an error stops the VM for inspection; otherwise it ends
   * the VM.
   */
  readonly debugger?: boolean;
}

export interface VmInfo {
  readonly protocolVersion: number;
  /** Version of the trapframe package. */
  readonly version: string;
  readonly pid: number;
  readonly state: VmState;
  /** Absent while `empty`. */
  readonly config?: VmConfig;
  /** How the image was booted: BootState.protocol. Absent while `empty`. */
  readonly bootProtocol?: string;
  /** Linear address of the guest's first instruction. */
  readonly entry?: string;
  /** Set once `ended`. */
  readonly end?: VmEnd;
}

/** Why a VM ended. `exitCode` is what `vmm run` exits with. */
export interface VmEnd {
  readonly kind: PowerCause['kind'] | FatalCause['kind'] | 'killed';
  readonly exitCode: number;
  /** One sentence for the user. */
  readonly message: string;
  /** Registers and code bytes as text, for `tripleFault` and `failure`. */
  readonly details?: string;
}

/** First request on every connection. Error VersionMismatch names both versions. */
export const initialize = new RequestType<InitializeParams, VmInfo, void>('initialize');

/** Gives a warm core its VM. It is created paused at its first instruction; nothing runs until `resume`. */
export const create = new RequestType<{ readonly config: VmConfig }, VmInfo, void>('vm/create');

export const info = new RequestType0<VmInfo, void>('vm/info');

/** Presses the ACPI power button; the guest decides. Resolves once the press is delivered. */
export const powerButton = new RequestType0<void, void>('vm/powerButton');

/** Back to the first instruction, RAM zeroed and the image reloaded; keeps run state and breakpoints. */
export const reset = new RequestType0<void, void>('vm/reset');

/** To all clients: the machine is back at its first instruction. `message`: one sentence saying by whom. */
export const wasReset = new NotificationType<{ readonly message: string }>('vm/wasReset');

/**
 * To all clients: the host fails the guest, which runs on: a disk has errors, output is lost. `message`: one
 * sentence for the user, with what to do; once for each thing that is wrong, however often the guest tries.
 */
export const trouble = new NotificationType<{ readonly message: string }>('vm/trouble');

/**
 * This client gives up the VM it created: the VM keeps running when the connection closes. Otherwise the VM
 * ends with the connection that sent `create`, so that a killed editor leaves no process behind.
 */
export const detach = new RequestType0<void, void>('vm/detach');

/** Ends the VM and its process now. */
export const kill = new RequestType0<void, void>('vm/kill');

/** To all clients, once: the VM has ended. The process exits once its clients had a chance to read this. */
export const ended = new NotificationType<VmEnd>('vm/ended');
