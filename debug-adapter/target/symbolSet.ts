/**
 * All symbol files of a session. Names and source lines are looked up in all of them, addresses in an address
 * space (AddressView).
 */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import {
  type FileSource,
  openFileSource,
  openOccasionalSource,
  versionOf,
} from '../../vmm-core/client/fileSource.ts';
import type { SymbolFile } from '../../vmm-core/config/settings/debug.ts';
import { bytesSource } from '../../vmm-core/elf/byteSource.ts';
import { messageOf } from '../errors.ts';
import { NODE_DECOMPRESSORS } from '../symbols/files/decompressors.ts';
import type { LoadIndex } from '../symbols/index/imageIndex.ts';
import type { IndexRequest } from '../symbols/index/indexLoader.ts';
import { unpacked } from '../symbols/files/packedFile.ts';
import { findSeparateDebug } from '../symbols/files/separateDebug.ts';
import type { SymbolIndexData } from '../symbols/index/symbolIndex.ts';
import type { SymbolImage } from '../symbols/symbolImage.ts';
import { AddressView, bestFirst } from './addressView.ts';
import type { CodeLocation, FunctionLocation } from '../symbols/breakpoints/breakpointPlaces.ts';
import { openSymbolImage } from '../symbols/openSymbolImage.ts';

/** How indexes of large files are obtained, and who is informed meanwhile. */
export interface Indexing {
  readonly obtain: (request: IndexRequest) => Promise<SymbolIndexData | undefined>;
  /** An index is being built. `cancel` ends that. */
  begin(title: string, cancel: () => void): { report(fraction: number): void; end(): void };
}

interface LoadedFile {
  readonly file: SymbolFile;
  readonly source: FileSource;
  readonly image: SymbolImage;
}

const CANCELLED =
  'reading its names was cancelled: until the next session, names are found only in the symbol table and in the source file of the frame';

/** Files up to this size are held in memory: a guest may be rebuilt while it is debugged. */
const READ_WHOLE_BYTES = 32 << 20;

/** Of CR3: bits 11:0 are flags or the PCID, bit 63 asks not to flush (SDM Vol. 3, §4.5, §4.10.4.1). */
const CR3_ADDRESS = 0x000f_ffff_ffff_f000n;

export class SymbolSet {
  /** As if every file were mapped: where no vCPU is meant. */
  readonly everywhere: AddressView;
  readonly #spaces = new Map<bigint, AddressView>();
  readonly #loaded: readonly LoadedFile[];
  readonly #files: readonly SymbolFile[];
  readonly #versions: readonly (string | undefined)[];

  readonly #told = new Set<string>();

  readonly #closed: AbortController;
  #isIndexing = false;

  private constructor(
    files: readonly SymbolFile[],
    loaded: readonly LoadedFile[],
    closed = new AbortController(),
  ) {
    this.#closed = closed;
    this.#files = files;
    this.#loaded = loaded;
    this.everywhere = new AddressView(bestFirst(loaded.map(({ image }) => image)));
    this.#versions = files.map((it) => currentVersion(it.path));
  }

  static readonly empty = new SymbolSet([], []);

  /**
   * Opens what can be opened; `report` gets a sentence for each file that cannot, or that no source line can
   * be found in. Without `indexing`, indexes of large files are built in this thread.
   */
  static load(
    files: readonly SymbolFile[],
    report: (message: string) => void,
    indexing?: Indexing,
  ): SymbolSet {
    const closed = new AbortController();
    const failures: { readonly index: number; readonly message: string }[] = [];
    const loaded = files.flatMap((file, index) => {
      try {
        return [loadFile(file, report, indexing && { ...indexing, report, closed: closed.signal })];
      } catch (error) {
        failures.push({ index, message: `no symbols from ${file.path}: ${messageOf(error)}` });
        return [];
      }
    });
    const hasLines = loaded.some(({ image }) => image.hasLines);
    for (const { index, message } of failures) {
      // The first is the kernel: a bzImage is fine when its vmlinux is named beside it.
      if (index > 0 || !hasLines) report(message);
    }
    if (!hasLines && loaded.length > 0) {
      report(
        `${files[0]?.path} has no line information: build it with -g, or name an ELF file that has it in "symbolFiles"`,
      );
    }
    return new SymbolSet(files, loaded, closed);
  }

  /**
   * Gets the indexes of large files, which costs seconds once. Returns whether there is one more than before.
   */
  async prepareIndexes(): Promise<boolean> {
    this.#isIndexing = true;
    let isNew = false;
    // One at a time: each takes a CPU and some 200 MB while it lasts.
    for (const image of this.images.filter((it) => !it.isIndexed)) {
      const isThere = await image.prepareIndex().catch(() => false); // closed meanwhile
      isNew ||= isThere;
    }
    this.#isIndexing = false;
    return isNew;
  }

  /** Whether names that are not found now may be found later. */
  get isIndexing(): boolean {
    return this.#isIndexing;
  }

  /** What was found broken in the debug information since the last call. */
  takeProblems(): string[] {
    const all = this.#loaded.flatMap(({ image }) => image.problems().map((it) => `${image.path}: ${it}`));
    const fresh = all.filter((it) => !this.#told.has(it));
    for (const it of fresh) this.#told.add(it);
    return fresh;
  }

  get files(): readonly SymbolFile[] {
    return this.#files;
  }

  get images(): readonly SymbolImage[] {
    return this.everywhere.images;
  }

  /** Whether addresses mean different things under different page tables. */
  get hasSpaces(): boolean {
    return this.#files.some(({ addressSpace }) => addressSpace !== undefined);
  }

  /** What addresses mean under that CR3. */
  inSpace(cr3: bigint): AddressView {
    const space = cr3 & CR3_ADDRESS;
    let view = this.#spaces.get(space);
    if (view === undefined) {
      const mapped = this.#loaded.filter(
        ({ file: { addressSpace } }) => addressSpace === undefined || (addressSpace & CR3_ADDRESS) === space,
      );
      // A program's own symbols before those that are everywhere.
      const own = mapped.filter(({ file }) => file.addressSpace !== undefined);
      const others = mapped.filter((it) => !own.includes(it));
      view = new AddressView([own, others].flatMap((group) => bestFirst(group.map(({ image }) => image))));
      this.#spaces.set(space, view);
    }
    return view;
  }

  /** Whether a file was rebuilt since it was loaded. */
  isStale(): boolean {
    return this.#files.some((it, i) => currentVersion(it.path) !== this.#versions[i]);
  }

  close(): void {
    this.#closed.abort();
    for (const it of this.#loaded) it.source.close();
  }

  /** From the symbol tables alone: a miss must be quick, the editor asks for every word under the mouse. */
  addressByName(name: string): bigint | undefined {
    for (const image of this.images) {
      const address = image.symbolByName(name)?.address;
      if (address !== undefined) return address;
    }
    return undefined;
  }

  /**
   * A function in both a stripped file and one with lines is the latter's: its breakpoint goes after the
   * prologue.
   */
  async functionsByName(name: string): Promise<FunctionLocation[]> {
    const found = await this.#all((it) => it.sliced.functionByName(name));
    const described = new Set(found.filter(({ file }) => file !== undefined).map(({ start }) => start));
    return found.filter(({ file, start }) => file !== undefined || !described.has(start));
  }

  /** Recorded source paths with that last component, each with the file that recorded it. */
  filesNamed(name: string): Promise<{ readonly file: string; readonly elfPath: string }[]> {
    return this.#all(async (image) =>
      (await image.sliced.filesNamed(name)).map((file) => ({ file, elfPath: image.path })),
    );
  }

  locations(file: string, line: number, column?: number): Promise<CodeLocation[]> {
    return this.#all((it) => it.sliced.addressesOf(file, line, column));
  }

  breakpointLines(
    file: string,
    fromLine: number,
    toLine: number,
  ): Promise<{ line: number; columns: readonly number[] }[]> {
    return this.#all((it) => it.sliced.breakpointLines(file, fromLine, toLine));
  }

  async #all<T>(ask: (image: SymbolImage) => Promise<readonly T[]>): Promise<T[]> {
    return (await Promise.all(this.images.map(ask))).flat();
  }
}

interface FileIndexing extends Indexing {
  readonly report: (message: string) => void;
  readonly closed: AbortSignal;
}

function loadFile(
  file: SymbolFile,
  report: (message: string) => void,
  indexing: FileIndexing | undefined,
): LoadedFile {
  const source = openDebugFile(file.path, report);
  try {
    const loadIndex = indexing && indexLoader(source, indexing);
    const image = openSymbolImage(source, {
      loadBias: file.offset,
      decompressors: NODE_DECOMPRESSORS,
      openDwo: openIfPresent,
      ...(loadIndex !== undefined && { loadIndex }),
    });
    return { file, source, image };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** The file itself, or the one that its debug information was split off to. */
function openDebugFile(path: string, report: (message: string) => void): FileSource {
  const source = openUnpacked(path);
  const separate = findSeparateDebug(source, openWhere, (it) => it.close());
  if (separate.problem !== undefined) report(separate.problem);
  if (separate.source === undefined) return source;
  source.close();
  return separate.source;
}

/** A compressed module is read whole. Throws with a sentence for what has no symbols in it. */
function openUnpacked(path: string): FileSource {
  const source = openFileSource(path, { wholeUpToBytes: READ_WHOLE_BYTES });
  let bytes: Uint8Array | undefined;
  try {
    bytes = unpacked(source);
  } catch (error) {
    source.close();
    throw error;
  }
  if (bytes === undefined) return source;
  source.close();
  return { ...bytesSource(path, bytes), version: source.version, close: () => undefined };
}

function openWhere(path: string): FileSource | undefined {
  try {
    return openFileSource(path, { wholeUpToBytes: READ_WHOLE_BYTES });
  } catch {
    return undefined; // one of several places, and not there
  }
}

function indexLoader({ name, version }: FileSource, indexing: FileIndexing): LoadIndex {
  return async (image, mayBuild) => {
    const ended = new AbortController();
    let isCancelled = false;
    const end = (): void => ended.abort();
    indexing.closed.addEventListener('abort', end);
    let progress: ReturnType<Indexing['begin']> | undefined;
    try {
      return await indexing.obtain({
        path: name,
        version,
        image,
        mayBuild,
        signal: ended.signal,
        onProblem: indexing.report,
        onProgress: (fraction) => {
          const title = `Reading the names of ${basename(name)}`;
          progress ??= indexing.begin(title, () => {
            isCancelled = true;
            end();
          });
          progress.report(fraction);
        },
      });
    } finally {
      indexing.closed.removeEventListener('abort', end);
      progress?.end();
      if (isCancelled) indexing.report(`${name}: ${CANCELLED}`);
    }
  };
}

/** The image says what it lacks without the file. */
function openIfPresent(path: string): FileSource | undefined {
  try {
    return openOccasionalSource(path);
  } catch {
    return undefined;
  }
}

/** Undefined: nothing could be opened. Opening it says why. */
function currentVersion(path: string): string | undefined {
  try {
    return versionOf(statSync(path));
  } catch {
    return undefined; // missing, a link to itself, a folder we may not enter
  }
}
