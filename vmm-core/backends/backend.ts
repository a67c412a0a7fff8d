/**
 * The host's side of a device: files, terminals, later disks and networks. Made by the device's class
 * (devices/device.ts), one per instance, over the rings it shares with the registers. Main thread.
 */
import type { ForwardConfig } from '../config/settings/networkOptions.ts';
import type { LinkReport } from './net/netLink.ts';
import type { SerialPort } from './serial/serialPort.ts';

export interface Backend {
  /** What the device said by DeviceHost.notify, on whatever thread it was. */
  onEvent(event: string, value: number): void;
  /** All vCPUs have stopped: takes what the guest wrote before, as on an event that is still on its way. */
  poll?(): void;
  /**
   * Resolves once none of its I/O is under way; none begins before `resume`. Called before a reset, a
   * snapshot and the end, while vCPUs may still run: guest memory is then given back. Absent: it never
   * touches that.
   */
  quiesce?(): Promise<void>;
  resume?(): void;
  /** The VM ends: all that the guest wrote is taken, whether its destination keeps up or not. */
  flush?(): void;
  /** The VM ends, its service has closed: resolves when all that that told is where it belongs. */
  ended?(): Promise<void>;
  /** Gives up what it holds of the host, but for what its service has been given. */
  close(): void;
  /** For its service on the I/O thread, once, which owns and closes it from then on. Plain data. */
  readonly opened?: unknown;
  /** What its service there tells (ServicePort.tell). */
  onMessage?(message: unknown): void;
  /** One of the machine's disks: clients may change it while the guest runs. */
  readonly disk?: DiskDrive;
  /** One of the machine's network interfaces: clients may look into it and change it while the guest runs. */
  readonly network?: NetworkInterface;
  /** The machine's memory balloon: clients may ask the guest for memory. */
  readonly balloon?: MemoryBalloon | undefined;
  /** Serial ports of the machine, in order: clients may attach to each and type. */
  readonly serial?: readonly SerialLine[] | undefined;
}

export interface DiskDrive {
  readonly path: string;
  readonly sizeBytes: number;
  /** Resolves when the guest has been told. Rejects with UserError. */
  resize(sizeBytes: number): Promise<void>;
  /** Another file is in the drive; the options stay, its format is that of its name. See resize. */
  change(path: string): Promise<void>;
}

export interface NetworkInterface {
  /** `net0`. */
  readonly name: string;
  /** What it is wired to, as launch.json writes it. */
  readonly kind: string;
  readonly lladdr: string;
  readonly isUp: boolean;
  /** The guest is told. */
  setUp(isUp: boolean): void;
  /** Where frames are written to now. */
  readonly capture: string | undefined;
  /** Rejects with UserError. One at a time; the file is replaced. */
  startCapture(options: CaptureOptions): Promise<void>;
  /** Resolves once all is written. */
  stopCapture(): Promise<CaptureSummary>;
  /** Rejects with UserError: of another kind than `user`, the port is busy. */
  addForward(forward: ForwardConfig): Promise<void>;
  removeForward(forward: ForwardConfig): Promise<void>;
  /** Counters, tables, connections. */
  report(): Promise<LinkReport>;
}

export interface CaptureOptions {
  readonly path: string;
  /** Of each frame; absent: all. */
  readonly snapBytes?: number;
  /** Begins another file after so many bytes, `capture-1.pcapng`, and keeps the last `files`. */
  readonly rotateBytes?: number;
  readonly files?: number;
  /** Into the file's header. */
  readonly comment?: string;
}

export interface CaptureSummary {
  readonly frames: number;
  /** The file could not keep up. */
  readonly dropped: number;
  readonly paths: readonly string[];
}

export interface MemoryBalloon {
  /** How much of its memory the guest shall do without. */
  readonly targetBytes: number;
  /** How much it does, by its own account. */
  readonly actualBytes: number;
  /** What it has reported free since the VM began, and the host has got back; it may be the same twice. */
  readonly reportedBytes: number;
  /** It has a driver for it. */
  readonly isReady: boolean;
  /** The guest is told, which takes its time. */
  setTarget(sizeBytes: number): void;
  /** What its driver says of its memory, by name, in bytes and numbers; of before if it is stopped. */
  statistics(): Promise<Readonly<Record<string, number>>>;
}

export interface SerialLine {
  readonly port: SerialPort;
  /** False: too much waits already, nothing of `bytes` was taken. */
  type(bytes: Uint8Array): boolean;
  /** The terminal at the other end has this size. Absent: the guest cannot be told. */
  resize?(columns: number, rows: number): void;
}
