/**
 * Collects the source files of units for a SymbolIndex: every path a line table names, and which tables have
 * statements of it.
 */
import { statementSpans } from '../../dwarf/line.ts';
import type { StringPlace } from '../../dwarf/lineHeader.ts';
import type { Unit } from '../../dwarf/unit.ts';
import { UnitLines } from '../units/unitLines.ts';
import type { FileUse, SymbolIndexData } from './symbolIndex.ts';

type FileTables = Omit<SymbolIndexData, 'hashes' | 'offsets' | 'kinds'>;

/** Files of one directory by the place of their name: the linker merges equal strings. */
type Directory = Map<number, number>;

export class FileCollector {
  readonly #directories = new Map<string, Directory>();
  readonly #idByPath = new Map<string, number>();
  /** Of each path. */
  readonly #uses: FileUse[][] = [];
  readonly #seenTables = new Set<number>();

  /** Throws DwarfError. Units may share a line table: the first is asked. */
  addUnit(unit: Unit): void {
    const { lineOffset } = unit.root;
    if (lineOffset === undefined || this.#seenTables.has(lineOffset)) return;
    this.#seenTables.add(lineOffset);
    const lines = new UnitLines(unit, lineOffset, () => true);
    const spans = statementSpans(lines.header);
    const directories: Directory[] = [];
    const { files, version } = lines.header;
    for (let index = version < 5 ? 1 : 0; index < files.length; index++) {
      const directory = (directories[files.directory(index)] ??= this.#directory(
        lines.directory(files.directory(index)),
      ));
      const id = this.#fileId(directory, files.name(index), () => lines.path(index));
      const span = spans.get(index);
      if (span !== undefined) this.#uses[id]?.push({ unitOffset: unit.header.offset, file: index, ...span });
    }
  }

  finish(): FileTables {
    const order = [...this.#idByPath].sort(([a], [b]) => (a < b ? -1 : 1));
    const encoded = order.map(([path]) => encoder.encode(`${path}\0`));
    const uses = order.map(([, id]) => this.#uses[id] ?? []);
    const all = uses.flat();
    return {
      paths: joined(encoded),
      pathStarts: starts(encoded).subarray(0, encoded.length),
      firstUse: starts(uses),
      useUnits: Float64Array.from(all, (it) => it.unitOffset),
      useFiles: Uint32Array.from(all, (it) => it.file),
      useFirstLines: Uint32Array.from(all, (it) => it.firstLine),
      useLastLines: Uint32Array.from(all, (it) => it.lastLine),
    };
  }

  #directory(path: string): Directory {
    let directory = this.#directories.get(path);
    if (directory === undefined) {
      directory = new Map();
      this.#directories.set(path, directory);
    }
    return directory;
  }

  #fileId(directory: Directory, place: StringPlace, path: () => string): number {
    // Names in the table itself (before version 5) are at a different place each time.
    const isMerged = place.section === '.debug_line_str' || place.section === '.debug_str';
    const key = 2 * place.offset + Number(place.section === '.debug_str');
    const known = isMerged ? directory.get(key) : undefined;
    if (known !== undefined) return known;
    const id = this.#idOf(path());
    if (isMerged) directory.set(key, id);
    return id;
  }

  #idOf(path: string): number {
    let id = this.#idByPath.get(path);
    if (id === undefined) {
      id = this.#uses.push([]) - 1;
      this.#idByPath.set(path, id);
    }
    return id;
  }
}

const encoder = new TextEncoder();

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, it) => sum + it.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Where each of `lists` begins when they are concatenated, and where the last ends. */
function starts(lists: readonly { readonly length: number }[]): Uint32Array {
  const positions = new Uint32Array(lists.length + 1);
  lists.forEach((list, index) => (positions[index + 1] = (positions[index] as number) + list.length));
  return positions;
}
