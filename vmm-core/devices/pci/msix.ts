/**
 * A function's MSI-X: table, pending bits, and what masks a message. Everything here happens with the
 * function's lock held, which is why no message leaves after the write that masks it. PCI 3.0 §6.8.
 */
import * as abi from '../../abi/pci.ts';
import type { MsiSender } from '../../bus/msiSender.ts';
import type { Registers } from '../../bus/stateBlock.ts';
import type { FunctionState } from './functionState.ts';
import { layoutMsixBar } from './msixBar.ts';

/** Of an entry. §6.8.2.6: a message is a DWORD, its address has no bits 1 and 0; §6.8.2.9: reserved bits. */
const WRITABLE = [0xffff_fffc, 0xffff_ffff, 0xffff_ffff, abi.PCI_MSIX_ENTRY_CTRL_MASKBIT] as const;

export class Msix {
  readonly vectors: number;
  readonly #table: DataView;
  readonly #pending: Uint8Array;
  readonly #pendingOffset: number;
  readonly #sender: MsiSender;

  constructor(regs: Registers<FunctionState>, sender: MsiSender) {
    const { msixTable, msixPending } = regs;
    this.vectors = msixTable.length / abi.PCI_MSIX_ENTRY_SIZE;
    this.#table = new DataView(msixTable.buffer, msixTable.byteOffset, msixTable.length);
    this.#pending = msixPending;
    this.#pendingOffset = layoutMsixBar(this.vectors).pendingOffset;
    this.#sender = sender;
  }

  /** §6.8.2: every vector is masked. */
  reset(): void {
    this.#pending.fill(0);
    for (let vector = 0; vector < this.vectors; vector++) {
      for (let at = 0; at < abi.PCI_MSIX_ENTRY_SIZE; at += 4) this.#set(vector, at, 0);
      this.#set(vector, abi.PCI_MSIX_ENTRY_VECTOR_CTRL, abi.PCI_MSIX_ENTRY_CTRL_MASKBIT);
    }
  }

  /** `isHeld`: the function as a whole may not send. */
  raise(vector: number, isHeld: boolean): void {
    if (!(vector >= 0 && vector < this.vectors)) return;
    if (isHeld || this.#isMasked(vector)) this.#setPending(vector, true);
    else this.#send(vector);
  }

  /** The function may send again: what it held back goes. */
  release(): void {
    for (let i = 0; i < this.#pending.length; i++) {
      if (this.#pending[i] === 0) continue;
      for (let bit = 0; bit < 8; bit++) this.#sendPending(8 * i + bit);
    }
  }

  /** Of the BAR. §6.8.2: DWORDs and QWORDs, which come as two; we give any other part of a DWORD, too. */
  read(offset: number, sizeBytes: number): number {
    const dword = this.#dword(offset & ~3);
    const shift = 8 * (offset & 3);
    return sizeBytes === 4 ? dword : (dword >>> shift) & (2 ** (8 * sizeBytes) - 1);
  }

  /** Other accesses than of whole DWORDs are undefined (§6.8.2): dropped. Pending bits are read-only. */
  write(offset: number, sizeBytes: number, value: number, isHeld: boolean): void {
    if (sizeBytes !== 4 || offset % 4 !== 0 || offset >= this.#table.byteLength) return;
    const vector = Math.floor(offset / abi.PCI_MSIX_ENTRY_SIZE);
    this.#table.setUint32(offset, value & (WRITABLE[(offset >> 2) & 3] ?? 0), true);
    if (!isHeld) this.#sendPending(vector);
  }

  #dword(offset: number): number {
    if (offset < this.#table.byteLength) return this.#table.getUint32(offset, true);
    const at = offset - this.#pendingOffset;
    if (at < 0 || at >= this.#pending.length) return 0;
    let value = 0;
    for (let i = 3; i >= 0; i--) value = value * 256 + (this.#pending[at + i] ?? 0);
    return value;
  }

  #sendPending(vector: number): void {
    if (vector >= this.vectors || !this.#isPending(vector) || this.#isMasked(vector)) return;
    this.#setPending(vector, false);
    this.#send(vector);
  }

  #send(vector: number): void {
    this.#sender.send(
      this.#get(vector, abi.PCI_MSIX_ENTRY_LOWER_ADDR),
      this.#get(vector, abi.PCI_MSIX_ENTRY_UPPER_ADDR),
      this.#get(vector, abi.PCI_MSIX_ENTRY_DATA),
    );
  }

  #isMasked(vector: number): boolean {
    const control = this.#get(vector, abi.PCI_MSIX_ENTRY_VECTOR_CTRL);
    return (control & abi.PCI_MSIX_ENTRY_CTRL_MASKBIT) !== 0;
  }

  #isPending(vector: number): boolean {
    return ((this.#pending[vector >> 3] ?? 0) & (1 << (vector & 7))) !== 0;
  }

  #setPending(vector: number, isPending: boolean): void {
    const bits = this.#pending[vector >> 3] ?? 0;
    const bit = 1 << (vector & 7);
    this.#pending[vector >> 3] = isPending ? bits | bit : bits & ~bit;
  }

  #get(vector: number, field: number): number {
    return this.#table.getUint32(vector * abi.PCI_MSIX_ENTRY_SIZE + field, true);
  }

  #set(vector: number, field: number, value: number): void {
    this.#table.setUint32(vector * abi.PCI_MSIX_ENTRY_SIZE + field, value, true);
  }
}
