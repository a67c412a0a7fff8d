/**
 * Routes port and MMIO exits to devices, on the vCPU thread that took the exit. Every thread assembles its
 * own bus over the same shared state blocks. Two invariants:
 *  - no exception crosses: a device that throws (a bug of ours) is logged once and reads as all ones;
 *  - an access belongs to one device or to none. One that is not wholly inside a device's window reads all
 *    ones and is dropped, it is not split between neighbours.
 * A register may answer whole DWORDs only, and leave narrower accesses at the same place to others: `outl
 * 0xcf8` (PCI configuration) must never reach the reset port 0xcf9, nor `outb 0xcf9` the former.
 */
import { type Log, log as processLog } from '../log.ts';
import type { BusDevice } from './busDevice.ts';

const PORTS = 0x1_0000;
/** The port table holds an 8-bit index per port. */
const MAX_PORT_WINDOWS = 0xff;
const DWORD_BYTES = 4;

interface Window {
  readonly base: number;
  readonly end: number;
  readonly device: BusDevice;
  /** Added to (address - base): a device whose registers are not contiguous registers several windows. */
  readonly deviceOffset: number;
  readonly accessBytes: number;
}

export class Bus {
  readonly #kind: 'port' | 'mmio';
  readonly #log: Log;
  /** Ports: window number + 1 per port, 0 for none. A table, because a port access must cost nanoseconds. */
  readonly #portTable: Uint8Array;
  readonly #windows: Window[] = [];
  /** Registers that answer whole DWORDs only. */
  readonly #dwords = new Map<number, Window>();
  /** MMIO: the same windows by base address, and the one hit last (drivers touch one device many times). */
  #sorted: readonly Window[] = [];
  #last: Window | undefined;
  readonly #reported = new Set<string>();

  constructor(kind: 'port' | 'mmio', log: Log = processLog) {
    this.#kind = kind;
    this.#log = log;
    this.#portTable = new Uint8Array(kind === 'port' ? PORTS : 0);
  }

  /**
   * Called while a thread assembles its machine. Throws on overlap or a window outside the address space: a
   * bug of ours.
   */
  register(base: number, sizeBytes: number, device: BusDevice, deviceOffset = 0): void {
    const end = base + sizeBytes;
    const limit = this.#kind === 'port' ? PORTS : Number.MAX_SAFE_INTEGER;
    if (
      !Number.isInteger(base) ||
      !Number.isInteger(sizeBytes) ||
      base < 0 ||
      sizeBytes <= 0 ||
      end > limit
    ) {
      throw new RangeError(
        `${device.name}: no ${this.#kind} window at ${hex(base)} length ${hex(sizeBytes)}`,
      );
    }
    const other = this.#windows.find((it) => base < it.end && it.base < end);
    if (other !== undefined) {
      throw new Error(
        `${device.name} at ${this.#kind} ${hex(base)} overlaps ${other.device.name} at ${hex(other.base)}`,
      );
    }
    const window: Window = { base, end, device, deviceOffset, accessBytes: device.accessBytes ?? 4 };
    this.#windows.push(window);
    this.#sorted = [...this.#windows].sort((a, b) => a.base - b.base);
    if (this.#kind === 'mmio') return;
    if (this.#windows.length > MAX_PORT_WINDOWS) throw new RangeError('more than 255 port windows');
    this.#portTable.fill(this.#windows.length, base, end);
  }

  /** Like register(), for one register that answers 32-bit accesses only. Others may have windows there. */
  registerDword(address: number, device: BusDevice, deviceOffset = 0): void {
    const other = this.#dwords.get(address);
    if (other !== undefined)
      throw new Error(`${device.name} at ${this.#kind} ${hex(address)} overlaps ${other.device.name}`);
    this.#dwords.set(address, {
      base: address,
      end: address + DWORD_BYTES,
      device,
      deviceOffset,
      accessBytes: DWORD_BYTES,
    });
  }

  /** Takes all windows away. */
  clear(): void {
    this.#windows.length = 0;
    this.#dwords.clear();
    this.#portTable.fill(0);
    this.#sorted = [];
    this.#last = undefined;
  }

  /**
   * `sizeBytes` is 1, 2, 4 or 8. Eight bytes are two reads of four, low address first, and lossy above 2^53
   * as a number: the run loop uses readBytes().
   */
  read(address: number, sizeBytes: number): number {
    const window = this.#find(address, sizeBytes);
    if (window === undefined) return allOnes(sizeBytes);
    const offset = address - window.base + window.deviceOffset;
    if (sizeBytes <= window.accessBytes) return this.#readDevice(window.device, offset, sizeBytes);
    let value = 0;
    for (let i = 0; i < sizeBytes; i += window.accessBytes) {
      value += this.#readDevice(window.device, offset + i, window.accessBytes) * 256 ** i;
    }
    return value;
  }

  /** See read(). Bits of `value` above the size are ignored. */
  write(address: number, sizeBytes: number, value: number): void {
    const window = this.#find(address, sizeBytes);
    if (window === undefined) return;
    const offset = address - window.base + window.deviceOffset;
    if (sizeBytes <= window.accessBytes) {
      this.#writeDevice(window.device, offset, sizeBytes, truncate(value, sizeBytes));
      return;
    }
    for (let i = 0; i < sizeBytes; i += window.accessBytes) {
      const part = truncate(Math.floor(value / 256 ** i), window.accessBytes);
      this.#writeDevice(window.device, offset + i, window.accessBytes, part);
    }
  }

  /**
   * Fills bytes[start..start+length) from a read at `address`, little-endian. `bytes` is the data area of
   * kvm_run, which only this vCPU's thread touches while it is out of the guest. KVM reports at most 8 bytes;
   * 8 are two accesses of 4, low address first; 3, 5, 6 and 7 (the parts of an access across a page boundary)
   * are single bytes.
   */
  readBytes(address: number, bytes: Uint8Array, start: number, length: number): void {
    const step = stepOf(length);
    for (let done = 0; done < length; done += step) {
      let value = this.read(address + done, step);
      for (let i = 0; i < step; i++, value = Math.floor(value / 256)) bytes[start + done + i] = value & 0xff;
    }
  }

  /** See readBytes(). */
  writeBytes(address: number, bytes: Uint8Array, start: number, length: number): void {
    const step = stepOf(length);
    for (let done = 0; done < length; done += step) {
      let value = 0;
      for (let i = step - 1; i >= 0; i--) value = value * 256 + (bytes[start + done + i] ?? 0);
      this.write(address + done, step, value);
    }
  }

  #find(address: number, sizeBytes: number): Window | undefined {
    const window = this.#kind === 'port' ? this.#findPort(address) : this.#findMmio(address);
    if (window !== undefined && address + sizeBytes <= window.end) return window;
    return sizeBytes === DWORD_BYTES ? this.#dwords.get(address) : undefined;
  }

  #findPort(address: number): Window | undefined {
    const number = this.#portTable[address] ?? 0;
    return number === 0 ? undefined : this.#windows[number - 1]; // [-1] would be a slow look-up by name
  }

  #findMmio(address: number): Window | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.base && address < last.end) return last;
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const window = this.#sorted[middle];
      if (window === undefined) return undefined;
      if (address < window.base) high = middle;
      else if (address >= window.end) low = middle + 1;
      else return (this.#last = window);
    }
    return undefined;
  }

  #readDevice(device: BusDevice, offset: number, sizeBytes: number): number {
    try {
      return truncate(device.read(offset, sizeBytes), sizeBytes);
    } catch (error) {
      this.#reportBug(device, 'read', offset, error);
      return allOnes(sizeBytes);
    }
  }

  #writeDevice(device: BusDevice, offset: number, sizeBytes: number, value: number): void {
    try {
      device.write(offset, sizeBytes, value);
    } catch (error) {
      this.#reportBug(device, 'write', offset, error);
    }
  }

  /** Once per device, direction and register: a guest may repeat the access a million times. */
  #reportBug(device: BusDevice, direction: string, offset: number, error: unknown): void {
    const site = `${device.name} ${direction} ${offset}`;
    if (this.#reported.has(site)) return;
    this.#reported.add(site);
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.error('bus', `${device.name} threw`, { direction, offset: hex(offset), error: detail });
  }
}

function stepOf(length: number): number {
  return length === 1 || length === 2 || length === 4 ? length : length === 8 ? 4 : 1;
}

function allOnes(sizeBytes: number): number {
  return sizeBytes === 4 ? 0xffff_ffff : 256 ** sizeBytes - 1;
}

function truncate(value: number, sizeBytes: number): number {
  if (sizeBytes === 1) return value & 0xff;
  if (sizeBytes === 2) return value & 0xffff;
  return value >>> 0;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
