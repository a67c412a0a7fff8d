/**
 * From one frame to its caller: .debug_frame and .eh_frame first, then a Linux kernel's ORC, then the frame
 * pointer.
 */
import { EM_X86_64, ET_REL } from '../../../vmm-core/elf/elfConstants.ts';
import type { ElfFile } from '../../../vmm-core/elf/elfFile.ts';
import { findSection } from '../../../vmm-core/elf/elfFile.ts';
import { toSigned, toUnsigned } from '../../dwarf/address.ts';
import { type FrameRow, FrameTable } from '../../dwarf/cfi.ts';
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { EhFrameHeader } from '../../dwarf/ehFrameHeader.ts';
import { type ExpressionContext, UnavailableError } from '../../dwarf/expression.ts';
import { OrcTable } from '../../dwarf/orc.ts';
import { applyFrameRow, computeCfa } from '../../dwarf/unwind.ts';
import type { Registers, FrameContext } from './frameContext.ts';
import { callerByFramePointer, type LinkedCaller } from './framePointer.ts';
import { describeRow, type FrameDescription } from './frameText.ts';
import type { MachineRegisters } from './machineRegisters.ts';

export interface UnwoundFrame {
  /** The caller's. Registers that nothing saved are missing. */
  readonly registers: Registers;
  /** The caller's stack pointer before the call; identifies the frame that was unwound. */
  readonly cfa: bigint;
  /** Where the caller's registers were found in memory. */
  readonly savedAt: ReadonlyMap<string, bigint>;
  /**
   * `cfi`: call frame information; `orc`: a Linux kernel's own tables; `framePointer`: guessed from the chain
   * of frame pointers.
   */
  readonly method: 'cfi' | 'orc' | 'framePointer';
  /**
   * The frame that was unwound is an interrupt's or a signal's: the caller's program counter is not a return
   * address.
   */
  readonly isSignalFrame: boolean;
}

export interface UnwinderImage {
  readonly elf: ElfFile;
  readonly dwarf: DwarfFile;
  readonly machine: MachineRegisters;
  readonly addressSize: number;
  /** Run-time address to link-time address, and back. */
  unbiased(address: bigint): number;
  relocate(address: bigint): bigint;
  /** Whether a link-time address is in the image's code. */
  isCode(address: number): boolean;
  /** First instruction of the function around a link-time address. */
  functionStart(address: number): number | undefined;
}

export class FrameUnwinder {
  readonly #image: UnwinderImage;
  #tables: readonly FrameTable[] | undefined;
  /** Null when the image has none. */
  #knownOrc: OrcTable | null | undefined;

  constructor(image: UnwinderImage) {
    this.#image = image;
  }

  async unwind(frame: FrameContext): Promise<UnwoundFrame | undefined> {
    const pc = this.#lookupAddress(frame);
    if (pc === undefined) return undefined;
    const found = this.#tableRow(pc);
    return found === undefined
      ? this.#byFramePointer(frame, pc)
      : this.#byRow(found.row, frame, found.method);
  }

  async unwindByTables(frame: FrameContext): Promise<UnwoundFrame | undefined> {
    const pc = this.#lookupAddress(frame);
    const found = pc === undefined ? undefined : this.#tableRow(pc);
    return found && this.#byRow(found.row, frame, found.method);
  }

  /** The rules at a link-time address as text. */
  describe(pc: number): FrameDescription | undefined {
    const row = this.#tableRow(pc)?.row;
    return row && describeRow(row, this.#image.machine, this.#image);
  }

  /** Whether the tables say that a frame has no caller (§6.4.4), rather than nothing about it. */
  isOutermost(frame: FrameContext): boolean {
    const row = this.#rowOf(frame);
    return row?.registers.get(row.returnAddressRegister)?.kind === 'undefined';
  }

  /**
   * The canonical frame address, for DW_OP_call_frame_cfa. The outermost frame has one too, although it has
   * no caller. Throws UnavailableError when it counts from a register that is not known.
   */
  async cfa(frame: FrameContext): Promise<bigint | undefined> {
    const row = this.#rowOf(frame);
    if (row === undefined) return (await this.unwind(frame))?.cfa;
    try {
      return await computeCfa(row.cfa, this.context(frame));
    } catch (error) {
      if (error instanceof UnavailableError) throw error;
      this.#image.dwarf.report(error);
      return undefined;
    }
  }

  /** Registers and memory of a frame for expressions that need nothing else. */
  context(frame: FrameContext): ExpressionContext {
    const { machine, addressSize, elf } = this.#image;
    return {
      addressSize,
      littleEndian: elf.littleEndian,
      is64: false,
      version: 5,
      relocate: (address) => this.#image.relocate(address),
      register: (register) => registerOf(frame.registers, machine, register),
      memory: (address, lengthBytes) => frame.memory.read(address, lengthBytes),
    };
  }

  #lookupAddress({ registers, pcIsReturnAddress }: FrameContext): number | undefined {
    const pc = registerOf(registers, this.#image.machine, this.#image.machine.programCounter);
    // The call may be the function's last instruction: what follows belongs to the next function (DWARF 5
    // §6.4.4).
    return pc === undefined ? undefined : this.#image.unbiased(pc) - (pcIsReturnAddress === true ? 1 : 0);
  }

  #rowOf(frame: FrameContext): FrameRow | undefined {
    const pc = this.#lookupAddress(frame);
    return pc === undefined ? undefined : this.#tableRow(pc)?.row;
  }

  /** The first table that knows a link-time address. */
  #tableRow(pc: number): { readonly row: FrameRow; readonly method: 'cfi' | 'orc' } | undefined {
    const row = this.#rowAt(pc);
    if (row !== undefined) return { row, method: 'cfi' };
    const orc = this.#orcRowAt(pc);
    return orc && { row: orc, method: 'orc' };
  }

  #rowAt(pc: number): FrameRow | undefined {
    for (const table of (this.#tables ??= this.#openTables())) {
      try {
        const row = table.rowAt(pc);
        if (row !== undefined) return row;
      } catch (error) {
        this.#image.dwarf.report(error);
      }
    }
    return undefined;
  }

  #openTables(): FrameTable[] {
    const { dwarf, elf, addressSize } = this.#image;
    const addressOf = (name: string): number => toSigned(findSection(elf, name)?.address ?? 0n, addressSize);
    return ['.debug_frame', '.eh_frame'].flatMap((name) => {
      const section = dwarf.section(name);
      if (section === undefined) return [];
      const bases = { section: addressOf(name), text: addressOf('.text'), data: addressOf('.got') };
      const isEhFrame = name === '.eh_frame';
      const index = isEhFrame ? dwarf.section('.eh_frame_hdr') : undefined;
      const header = index && new EhFrameHeader(index, addressOf('.eh_frame_hdr'), addressSize);
      return [
        new FrameTable(section, {
          isEhFrame,
          addressSize,
          bases,
          header,
          onProblem: (problem) => dwarf.report(problem),
        }),
      ];
    });
  }

  /**
   * Tables of other code (the kernel's, for a module's address) must not be asked: their last entry has no
   * end.
   */
  #orcRowAt(pc: number): FrameRow | undefined {
    if (!this.#image.isCode(pc)) return undefined;
    try {
      return (this.#knownOrc ??= this.#openOrc() ?? null)?.rowAt(pc);
    } catch (error) {
      this.#image.dwarf.report(error);
      return undefined;
    }
  }

  #openOrc(): OrcTable | undefined {
    const { dwarf, elf, addressSize } = this.#image;
    const [ip, entries] = [dwarf.section('.orc_unwind_ip'), dwarf.section('.orc_unwind')];
    if (elf.machine !== EM_X86_64 || ip === undefined || entries === undefined) return undefined;
    return new OrcTable({
      ip,
      ipAddress: toSigned(findSection(elf, '.orc_unwind_ip')?.address ?? 0n, addressSize),
      entries,
      header: dwarf.section('.orc_header'),
      isSorted: elf.type !== ET_REL,
    });
  }

  async #byRow(row: FrameRow, frame: FrameContext, method: 'cfi' | 'orc'): Promise<UnwoundFrame | undefined> {
    const { machine } = this.#image;
    try {
      const caller = await applyFrameRow(row, this.context(frame), {
        stackPointer: machine.stackPointer,
        registerNumbers: machine.names.keys(),
        // Without a rule a register keeps its value, even one the ABI lets callees clobber: gcc's location
        // lists count on callees it knows not to (-fipa-ra), and end where a call does clobber.
        keeps: () => true,
      });
      const pc = caller.registers.get(row.returnAddressRegister);
      // A frame whose return address is undefined is the outermost (§6.4.4).
      if (pc === undefined || pc === 0n) return undefined;
      const registers = named(caller.registers, machine);
      registers.set(machine.names[machine.programCounter] as string, pc);
      return {
        registers,
        cfa: caller.cfa,
        savedAt: named(caller.savedAt, machine),
        method,
        isSignalFrame: row.isSignalFrame,
      };
    } catch (error) {
      // A value missing from the frame is not the file's fault.
      if (!(error instanceof UnavailableError)) this.#image.dwarf.report(error);
      return undefined;
    }
  }

  /** Code without frame information (assembler). */
  async #byFramePointer(frame: FrameContext, pc: number): Promise<UnwoundFrame | undefined> {
    const image = this.#image;
    const { machine } = image;
    const sp = registerOf(frame.registers, machine, machine.stackPointer);
    if (sp === undefined || !machine.pushesReturnAddress) return undefined;
    const framePointer = registerOf(frame.registers, machine, machine.framePointer);
    const { pcIsReturnAddress = false, memory } = frame;
    const at = { pc: image.relocate(toUnsigned(pc)), sp, framePointer, pcIsReturnAddress };
    const caller = await callerByFramePointer(at, {
      wordBytes: machine.wordBytes,
      base: 0n,
      read: (address, lengthBytes) => memory.read(address, lengthBytes),
      functionStart: (address) => {
        const start = image.functionStart(image.unbiased(address));
        return start === undefined ? undefined : image.relocate(toUnsigned(start));
      },
      isCode: async (address) => image.isCode(image.unbiased(address)),
    });
    return caller && linked(caller, machine);
  }
}

/**
 * The function may have saved and changed any other register: without its tables nothing is known of them.
 */
function linked(caller: LinkedCaller, machine: MachineRegisters): UnwoundFrame {
  const { returnAddress, returnSlot, sp, framePointer, framePointerSlot } = caller;
  const registers = new Map([
    [machine.programCounter, returnAddress],
    [machine.stackPointer, sp],
  ]);
  if (framePointer !== undefined) registers.set(machine.framePointer, framePointer);
  const savedAt = new Map([[machine.programCounter, returnSlot]]);
  if (framePointerSlot !== undefined) savedAt.set(machine.framePointer, framePointerSlot);
  return {
    registers: named(registers, machine),
    cfa: sp,
    savedAt: named(savedAt, machine),
    method: 'framePointer',
    isSignalFrame: false,
  };
}

export function registerOf(
  registers: Registers,
  machine: MachineRegisters,
  register: number,
): bigint | undefined {
  const name = machine.names[register];
  return name === undefined ? undefined : registers.get(name);
}

function named(values: ReadonlyMap<number, bigint>, machine: MachineRegisters): Map<string, bigint> {
  const result = new Map<string, bigint>();
  for (const [register, value] of values) {
    const name = machine.names[register];
    if (name !== undefined) result.set(name, value);
  }
  return result;
}
