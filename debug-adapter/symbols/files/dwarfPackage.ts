/**
 * A package of split units (.dwp): gives each unit its pieces of the sections, as if they were a .dwo file of
 * its own.
 */
import { DwarfError } from '../../dwarf/dwarfError.ts';
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { type Contributions, PackageIndex } from '../../dwarf/packageIndex.ts';
import { type SectionData, Section, sectionPiece } from '../../dwarf/section.ts';
import type { Die, Unit } from '../../dwarf/unit.ts';
import { LruCache } from '../base/lruCache.ts';

/** The sections of a split file, by name without `.dwo`, and how to read them. */
export interface SplitFile {
  readonly path: string;
  readonly littleEndian: boolean;
  load(name: string): SectionData | undefined;
}

/** Finds a type unit that is not in the file that refers to it. */
export type TypeFinder = (signature: bigint) => Die | undefined;

const MAX_TYPE_FILES = 4096;

export class DwarfPackage {
  readonly #whole: SplitFile;
  readonly #openPiece: (piece: SplitFile, types: TypeFinder) => DwarfFile;
  readonly #sections = new Map<string, SectionData | undefined>();
  readonly #units: PackageIndex;
  readonly #types: PackageIndex | undefined;
  readonly #typeFiles = new LruCache<bigint, DwarfFile | null>(MAX_TYPE_FILES);

  /** `openPiece` makes a file of the sections of one unit. Throws DwarfError. */
  constructor(whole: SplitFile, openPiece: (piece: SplitFile, types: TypeFinder) => DwarfFile) {
    this.#whole = whole;
    this.#openPiece = openPiece;
    const units = this.#index('.debug_cu_index');
    if (units === undefined) throw new DwarfError('.debug_cu_index', 0, `${whole.path} is not a package`);
    this.#units = units;
    this.#types = this.#index('.debug_tu_index');
  }

  /** The file of the unit with that dwo_id, if the package has it. Throws DwarfError. */
  unitFile(dwoId: bigint): DwarfFile | undefined {
    const pieces = this.#units.find(dwoId);
    return pieces && this.#openPiece(this.#pieceOf(pieces), this.#typeBySignature);
  }

  /** Every type unit. Throws DwarfError. */
  *typeUnits(): Generator<Unit> {
    for (const signature of this.#types?.signatures() ?? []) {
      const file = this.#typeFile(signature);
      const header = file?.unitHeaders().find(({ typeSignature }) => typeSignature === signature);
      if (file !== undefined && header !== undefined) yield file.unitOf(header);
    }
  }

  readonly #typeBySignature: TypeFinder = (signature) =>
    this.#typeFile(signature)?.typeBySignature(signature);

  #typeFile(signature: bigint): DwarfFile | undefined {
    let file = this.#typeFiles.get(signature);
    if (file === undefined) {
      file = this.#openTypeFile(signature) ?? null;
      this.#typeFiles.set(signature, file, 1);
    }
    return file ?? undefined;
  }

  #openTypeFile(signature: bigint): DwarfFile | undefined {
    const pieces = this.#types?.find(signature);
    if (pieces === undefined) return undefined;
    const file = this.#openPiece(this.#pieceOf(pieces), this.#typeBySignature);
    // A file without the type, when asked for it, would ask here again.
    return file.unitHeaders().some(({ typeSignature }) => typeSignature === signature) ? file : undefined;
  }

  /**
   * Sections that the index does not divide (strings) belong to all; divided ones only to units that have a
   * piece.
   */
  #pieceOf(pieces: Contributions): SplitFile {
    const load = (name: string): SectionData | undefined => {
      const piece = pieces.get(name);
      const data = this.#section(name);
      if (piece === undefined || data === undefined) return name === '.debug_str' ? data : undefined;
      const { offset, sizeBytes } = piece;
      if (offset + sizeBytes > data.sizeBytes)
        throw new DwarfError(
          name,
          offset,
          `piece of 0x${sizeBytes.toString(16)} bytes reaches past its section`,
        );
      return sectionPiece(data, offset, sizeBytes);
    };
    return { path: this.#whole.path, littleEndian: this.#whole.littleEndian, load };
  }

  #section(name: string): SectionData | undefined {
    if (!this.#sections.has(name)) this.#sections.set(name, this.#whole.load(name));
    return this.#sections.get(name);
  }

  #index(name: string): PackageIndex | undefined {
    const data = this.#section(name);
    if (data === undefined || data.sizeBytes === 0) return undefined;
    return new PackageIndex(new Section(name, data, this.#whole.littleEndian));
  }
}
