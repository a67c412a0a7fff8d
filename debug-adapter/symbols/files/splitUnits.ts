/**
 * Split DWARF (§3.1.3, §7.3.2): a skeleton unit in the program names a .dwo file that has the rest, or the
 * rest is in the one package (.dwp) that was made of all of them. Lines and addresses stay with the skeleton;
 * functions, variables and types are elsewhere, and opened when they are first asked for.
 */
import type { ByteSource } from '../../../vmm-core/elf/byteSource.ts';
import type { Decompressors } from '../../../vmm-core/elf/compressedSection.ts';
import { ElfError } from '../../../vmm-core/elf/elfError.ts';
import { parseElf } from '../../../vmm-core/elf/elfFile.ts';
import { LoadedUnits, PageCache, type SharedCaches } from '../../dwarf/caches.ts';
import { DwarfError } from '../../dwarf/dwarfError.ts';
import { DwarfFile } from '../../dwarf/dwarfFile.ts';
import type { Unit } from '../../dwarf/unit.ts';
import { joinPath } from '../base/sourcePath.ts';
import { DwarfPackage, type SplitFile, type TypeFinder } from './dwarfPackage.ts';
import { elfSectionLoader } from './imageSections.ts';

/** Opens a .dwo or .dwp by its path; undefined when there is none. */
export type OpenDwo = (path: string) => ByteSource | undefined;

export interface SplitUnitsOptions {
  readonly programPath: string;
  readonly open: OpenDwo | undefined;
  readonly decompressors: Decompressors;
  readonly note: (message: string) => void;
}

const MAX_PAGES = 1024; // 16 MiB for all split files of a program together

export class SplitUnits {
  readonly #options: SplitUnitsOptions;
  readonly #caches: SharedCaches = { units: new LoadedUnits(), pages: new PageCache(MAX_PAGES) };
  readonly #known = new Map<Unit, Unit>();
  /** Null when there is none. */
  #package: DwarfPackage | null | undefined;

  constructor(options: SplitUnitsOptions) {
    this.#options = options;
  }

  /**
   * The unit with the entries: the split one of a skeleton, `unit` itself when it is not a skeleton or its
   * file cannot be used.
   */
  full(unit: Unit): Unit {
    if (unit.skeleton !== undefined) return unit; // clang names the file in the file itself too
    let full = this.#known.get(unit);
    if (full === undefined) {
      full = this.#guard(() => this.#resolve(unit)) ?? unit;
      this.#known.set(unit, full);
    }
    return full;
  }

  /**
   * Type units of a package: those of .dwo files are in the same file as the unit that uses them. Throws
   * DwarfError.
   */
  packagedTypes(): Iterable<Unit> {
    return this.#guard(() => this.#openPackage())?.typeUnits() ?? [];
  }

  #resolve(skeleton: Unit): Unit | undefined {
    const { dwoName, dwoId, name } = skeleton.root;
    if (dwoName === undefined) return undefined;
    const packaged = this.#guard(() => this.#openPackage()?.unitFile(dwoId ?? 0n));
    const found = packaged && matching(packaged, skeleton);
    if (found !== undefined) return found;
    const file = this.#openDwo(skeleton, dwoName);
    if (file === undefined) {
      this.#options.note(`${dwoName} is missing: it has the functions and variables of ${name ?? 'a unit'}`);
      return undefined;
    }
    const unit = matching(this.#dwarfFile(file), skeleton);
    if (unit === undefined)
      this.#options.note(
        `${file.path} is from another build: it has no unit 0x${(dwoId ?? 0n).toString(16)}`,
      );
    return unit;
  }

  /** Where the compiler wrote it, or beside a program that was moved. */
  #openDwo(skeleton: Unit, dwoName: string): SplitFile | undefined {
    const { compDir = '' } = skeleton.root;
    return (
      this.#openSplit(joinPath(compDir, dwoName)) ??
      this.#openSplit(joinPath(directoryOf(this.#options.programPath), baseName(dwoName)))
    );
  }

  #openPackage(): DwarfPackage | undefined {
    if (this.#package === undefined) {
      this.#package = null; // a broken package is tried only once
      const file = this.#openSplit(`${this.#options.programPath}.dwp`);
      if (file !== undefined)
        this.#package = new DwarfPackage(file, (piece, types) => this.#dwarfFile(piece, types));
    }
    return this.#package ?? undefined;
  }

  #openSplit(path: string): SplitFile | undefined {
    const { open, decompressors, note } = this.#options;
    const source = open?.(path);
    if (source === undefined) return undefined;
    const elf = parseElf(withElfErrors(source));
    const load = elfSectionLoader(elf, decompressors, (message) => note(`${path}: ${message}`));
    // The indexes of a package have no suffix.
    const { littleEndian } = elf;
    return { path, littleEndian, load: (name) => load(name.endsWith('_index') ? name : `${name}.dwo`) };
  }

  #dwarfFile(file: SplitFile, typeElsewhere?: TypeFinder): DwarfFile {
    return new DwarfFile((name) => file.load(name), {
      littleEndian: file.littleEndian,
      onProblem: (problem) => this.#options.note(`${file.path}: ${problem.message}`),
      caches: this.#caches,
      ...(typeElsewhere && { typeElsewhere }),
    });
  }

  #guard<T>(question: () => T | undefined): T | undefined {
    try {
      return question();
    } catch (error) {
      if (!(error instanceof DwarfError || error instanceof ElfError)) throw error;
      this.#options.note(error.message);
      return undefined;
    }
  }
}

/** A file that was removed or rebuilt after it was first read is as good as broken. */
function withElfErrors(source: ByteSource): ByteSource {
  return {
    name: source.name,
    sizeBytes: source.sizeBytes,
    readInto(offset, target) {
      try {
        source.readInto(offset, target);
      } catch (error) {
        throw new ElfError(`${source.name} can no longer be read (${String(error)})`);
      }
    },
  };
}

/** The unit of a file that completes a skeleton. */
function matching(file: DwarfFile, skeleton: Unit): Unit | undefined {
  const { dwoId, addrBase, gnuRangesBase, lowPc } = skeleton.root;
  for (const header of file.unitHeaders()) {
    const unit = file.unitOf(header);
    // Set first: even the root of a split unit may count from the skeleton's bases.
    unit.skeleton = { unit: skeleton, file: skeleton.file, addrBase, gnuRangesBase, lowPc };
    if (unit.root.dwoId === dwoId) return unit;
  }
  return undefined;
}

function directoryOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
