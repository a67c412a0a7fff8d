/**
 * Split DWARF (§3.1.3, §7.3.2): a skeleton unit in the program names a .dwo file that has the rest. Lines and addresses stay with
 * the skeleton; functions, variables and types are in the file, which is opened when they are first asked for.
 */
import type { ByteSource } from '../../vmm-core/elf/byteSource.ts';
import type { Decompressors } from '../../vmm-core/elf/compressedSection.ts';
import { ElfError } from '../../vmm-core/elf/elfError.ts';
import { parseElf } from '../../vmm-core/elf/elfFile.ts';
import { DwarfError } from '../dwarf/dwarfError.ts';
import { DwarfFile } from '../dwarf/dwarfFile.ts';
import type { Unit } from '../dwarf/unit.ts';
import { elfSectionLoader } from './imageSections.ts';
import { joinPath } from './sourcePath.ts';

/** Opens a .dwo by its path; undefined when there is none. */
export type OpenDwo = (path: string) => ByteSource | undefined;

export class SplitUnits {
  private readonly open: OpenDwo | undefined;
  private readonly decompressors: Decompressors;
  private readonly note: (message: string) => void;
  private readonly known = new Map<Unit, Unit>();

  constructor(open: OpenDwo | undefined, decompressors: Decompressors, note: (message: string) => void) {
    this.open = open;
    this.decompressors = decompressors;
    this.note = note;
  }

  /** The unit with the entries: the split one of a skeleton, `unit` itself when it is no skeleton or its file cannot be used. */
  full(unit: Unit): Unit {
    if (unit.skeleton !== undefined) return unit; // clang names the file in the file itself too
    let full = this.known.get(unit);
    if (full === undefined) {
      full = this.resolve(unit) ?? unit;
      this.known.set(unit, full);
    }
    return full;
  }

  private resolve(unit: Unit): Unit | undefined {
    try {
      const { dwoName, compDir } = unit.root;
      return dwoName === undefined ? undefined : this.load(unit, joinPath(compDir ?? '', dwoName));
    } catch (error) {
      if (!(error instanceof DwarfError || error instanceof ElfError)) throw error;
      this.note(error.message);
      return undefined;
    }
  }

  private load(skeleton: Unit, path: string): Unit | undefined {
    const source = this.open?.(path);
    if (source === undefined) {
      this.note(
        `${path} is missing: it has the functions and variables of ${skeleton.root.name ?? 'a unit'}`,
      );
      return undefined;
    }
    const elf = parseElf(source);
    const load = elfSectionLoader(elf, this.decompressors, this.note);
    const file = new DwarfFile((name) => load(`${name}.dwo`), {
      littleEndian: elf.littleEndian,
      onProblem: (problem) => this.note(`${path}: ${problem.message}`),
    });
    const { dwoId, addrBase, gnuRangesBase, lowPc } = skeleton.root;
    for (const header of file.unitHeaders()) {
      const unit = file.unitOf(header);
      // Set first: even the root of a split unit may count from the skeleton's bases.
      unit.skeleton = { unit: skeleton, file: skeleton.file, addrBase, gnuRangesBase, lowPc };
      if (unit.root.dwoId === dwoId) return unit;
    }
    this.note(`${path} is of another build: it has no unit 0x${(dwoId ?? 0n).toString(16)}`);
    return undefined;
  }
}
