/**
 * A VM as the handlers see it: vmm-core's protocol with bigints and bytes instead of hex, and errors instead
 * of silence when the process behind the socket dies. Knows no DAP.
 */
import { EventEmitter } from 'node:events';
import { ErrorCodes, type MessageConnection, ResponseError } from 'vscode-jsonrpc/node';
import type { VmmClient } from '../../vmm-core/client/vmmClient.ts';
import type { VmConfig } from '../../vmm-core/config/vmConfig.ts';
import { type Change, changed } from '../../vmm-core/protocol/changes.ts';
import { ErrorCode } from '../../vmm-core/protocol/errors.ts';
import { type MemoryParams, readMemory, writeMemory } from '../../vmm-core/protocol/memory.ts';
import { type CpuRegisters, readRegisters, writeRegisters } from '../../vmm-core/protocol/registers.ts';
import {
  type BreakpointSpec,
  type BreakpointStatus,
  pause,
  resume,
  resumed,
  setBreakpoints,
  step,
  type StepParams,
  type StopEvent,
  stopped,
} from '../../vmm-core/protocol/run.ts';
import {
  create,
  detach,
  ended,
  kill,
  powerButton,
  reset,
  trouble,
  type VmEnd,
  type VmInfo,
  type VmState,
  wasReset,
} from '../../vmm-core/protocol/vm.ts';
import { messageOf, USER_ERROR, UserError, type UserErrorId } from '../errors.ts';

/** A guest address: linear through the page tables of a vCPU, or physical. */
export interface GuestAddress {
  readonly address: bigint;
  readonly physical?: boolean;
  readonly cpu?: number;
}

export interface MemoryRead {
  /** Shorter than asked where the guest's memory ends or is not mapped. */
  readonly data: Uint8Array;
  readonly unreadableBytes: number;
}

export type RunState = 'paused' | 'running' | 'ended';

interface TargetEvents {
  stopped: [StopEvent];
  resumed: [];
  /** By another client; what was read before may be out of date. */
  changed: [Change];
  /** Who did it, as a sentence. */
  reset: [string];
  /** The host fails the guest, which runs on; a sentence. */
  trouble: [string];
  ended: [VmEnd];
  /** The connection is gone. Last event. */
  closed: [];
}

/** Keys of CpuRegisters.values and segment names, to new values. */
export type RegisterValues = Readonly<Record<string, bigint>>;

export class VmTarget extends EventEmitter<TargetEvents> {
  readonly #client: VmmClient;
  #info: VmInfo;
  #state: RunState;
  #closed = false;
  /** Per stop: the registers read from each vCPU. */
  readonly #registers = new Map<number, Promise<CpuRegisters>>();

  constructor(client: VmmClient) {
    super();
    this.#client = client;
    this.#info = client.info;
    this.#state = runState(client.info.state);
    const { connection } = client;
    connection.onNotification(stopped, (event) => this.#onStopped(event));
    connection.onNotification(resumed, () => this.#onResumed());
    connection.onNotification(changed, (change) => this.#onChanged(change));
    connection.onNotification(wasReset, ({ message }) => this.emit('reset', message));
    connection.onNotification(trouble, ({ message }) => this.emit('trouble', message));
    connection.onNotification(ended, (end) => this.#onEnded(end));
    void client.closed.then(() => this.#onClosed());
  }

  get info(): VmInfo {
    return this.#info;
  }

  /** `paused` also before `create`. A step counts as running. */
  get state(): RunState {
    return this.#state;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get cpuCount(): number {
    return this.#info.config?.cpus ?? 1;
  }

  async create(config: VmConfig): Promise<void> {
    this.#info = await this.#ask((it) => it.sendRequest(create, { config }));
    this.#state = runState(this.#info.state);
  }

  async resume(): Promise<void> {
    await this.#run((it) => it.sendRequest(resume));
  }

  /** `stopped` was emitted when it resolves, unless the VM was paused already. */
  async pause(): Promise<void> {
    await this.#ask((it) => it.sendRequest(pause));
  }

  /** Resolves when started; `stopped` follows. */
  async step(
    cpu: number,
    options: { range?: { start: bigint; end: bigint }; over?: boolean; interrupts?: boolean },
  ): Promise<void> {
    const { range, over, interrupts } = options;
    const params: StepParams = {
      cpu,
      ...(range === undefined ? {} : { range: { start: hex(range.start), end: hex(range.end) } }),
      ...(over === true ? { over } : {}),
      ...(interrupts === true ? { interrupts } : {}),
    };
    await this.#run((it) => it.sendRequest(step, params));
  }

  async setBreakpoints(breakpoints: readonly BreakpointSpec[]): Promise<readonly BreakpointStatus[]> {
    return (await this.#ask((it) => it.sendRequest(setBreakpoints, { breakpoints }))).breakpoints;
  }

  /** Throws UserError while the VM runs. */
  readRegisters(cpu: number): Promise<CpuRegisters> {
    this.#requirePaused();
    let registers = this.#registers.get(cpu);
    if (registers === undefined) {
      registers = this.#ask((it) => it.sendRequest(readRegisters, { cpu }));
      this.#registers.set(cpu, registers);
      registers.catch(() => this.#forget(cpu, registers));
    }
    return registers;
  }

  /** A failed read is retried; a later one in its place stays. */
  #forget(cpu: number, read: Promise<CpuRegisters> | undefined): void {
    if (this.#registers.get(cpu) === read) this.#registers.delete(cpu);
  }

  async writeRegisters(cpu: number, values: RegisterValues): Promise<CpuRegisters> {
    this.#requirePaused();
    const texts = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, hex(value)]));
    try {
      return await this.#ask((it) => it.sendRequest(writeRegisters, { cpu, values: texts }));
    } finally {
      this.#registers.delete(cpu);
    }
  }

  async readMemory(at: GuestAddress, lengthBytes: number): Promise<MemoryRead> {
    if (lengthBytes === 0) return { data: new Uint8Array(), unreadableBytes: 0 };
    try {
      const answer = await this.#ask((it) =>
        it.sendRequest(readMemory, { ...memoryParams(at), lengthBytes }),
      );
      const data = answer.data;
      return { data, unreadableBytes: lengthBytes - data.length };
    } catch (error) {
      if (isAddressError(error)) return { data: new Uint8Array(), unreadableBytes: lengthBytes };
      throw error;
    }
  }

  async writeMemory(at: GuestAddress, data: Uint8Array): Promise<number> {
    const params = { ...memoryParams(at), data };
    return (await this.#ask((it) => it.sendRequest(writeMemory, params))).writtenBytes;
  }

  powerButton(): Promise<void> {
    return this.#ask((it) => it.sendRequest(powerButton));
  }

  reset(): Promise<void> {
    this.#registers.clear();
    return this.#ask((it) => it.sendRequest(reset));
  }

  /** The VM outlives our connection. */
  detach(): Promise<void> {
    return this.#ask((it) => it.sendRequest(detach));
  }

  /** Never throws: a VM that is already gone is what was asked for. */
  async kill(): Promise<void> {
    await this.#ask((it) => it.sendRequest(kill)).catch(() => undefined);
  }

  dispose(): void {
    this.#client.dispose();
    this.#onClosed();
  }

  #requirePaused(): void {
    if (this.#state === 'running') {
      throw new UserError(USER_ERROR.vmRunning, 'the VM is running: pause it to see its registers');
    }
  }

  #setRunning(): void {
    if (this.#state === 'ended') return;
    this.#state = 'running';
    this.#registers.clear();
  }

  /**
   * A request that sets the VM running. If it ended instead (it was at a fatal error), that is not a failure:
   * `ended` reports it.
   */
  async #run(send: (connection: MessageConnection) => Promise<void>): Promise<void> {
    const before = this.#state;
    this.#setRunning();
    try {
      await this.#ask(send);
    } catch (error) {
      if (this.#state === 'ended' && before !== 'ended') return;
      if (this.#state === 'running') this.#state = before;
      throw error;
    }
  }

  #onStopped(event: StopEvent): void {
    this.#registers.clear();
    if (this.#state !== 'ended') this.#state = 'paused';
    this.emit('stopped', event);
  }

  #onResumed(): void {
    this.#setRunning();
    this.emit('resumed');
  }

  #onChanged(change: Change): void {
    if (change.kind === 'registers') this.#registers.delete(change.cpu);
    this.emit('changed', change);
  }

  #onEnded(end: VmEnd): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.emit('ended', end);
  }

  #onClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#state = 'ended';
    this.#client.connection.dispose(); // rejects what is still waiting for an answer
    this.emit('closed');
  }

  async #ask<R>(send: (connection: MessageConnection) => Promise<R>): Promise<R> {
    if (this.#closed) throw vmGone();
    try {
      return await send(this.#client.connection);
    } catch (error) {
      throw this.#translateError(error);
    }
  }

  #translateError(error: unknown): unknown {
    if (error instanceof ResponseError && Object.hasOwn(ERROR_IDS, error.code)) {
      return new UserError(ERROR_IDS[error.code] ?? USER_ERROR.host, error.message, { cause: error });
    }
    const unanswered = error instanceof ResponseError && error.code === ErrorCodes.PendingResponseRejected;
    if (this.#closed || unanswered || !(error instanceof ResponseError)) return vmGone(error);
    return new Error(`vmm-core: ${messageOf(error)}`, { cause: error });
  }
}

const ERROR_IDS: Readonly<Record<number, UserErrorId>> = {
  [ErrorCode.User]: USER_ERROR.badValue,
  [ErrorCode.Host]: USER_ERROR.host,
  [ErrorCode.VersionMismatch]: USER_ERROR.host,
  [ErrorCode.State]: USER_ERROR.vmRunning,
  [ErrorCode.Address]: USER_ERROR.memory,
};

function isAddressError(error: unknown): boolean {
  return error instanceof UserError && error.id === USER_ERROR.memory;
}

function vmGone(cause?: unknown): UserError {
  return new UserError(USER_ERROR.vmGone, 'the VM has ended', { cause });
}

function runState(state: VmState): RunState {
  return state === 'empty' ? 'paused' : state;
}

function memoryParams(at: GuestAddress): MemoryParams {
  return {
    address: hex(at.address),
    ...(at.physical === true ? { physical: true } : {}),
    ...(at.cpu === undefined ? {} : { cpu: at.cpu }),
  };
}

/** An address as the protocol and DAP references spell it. */
export function hex(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`;
}
