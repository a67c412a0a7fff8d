/**
 * The index of one image: built on the spot when that takes no time, otherwise got once, when first needed.
 */
import type { DwarfFile } from '../../dwarf/dwarfFile.ts';
import { finish, inSlices } from '../base/steps.ts';
import { buildIndex } from './buildIndex.ts';
import { type NameTables, nameTablesOf } from './nameTables.ts';
import { SymbolIndex, type SymbolIndexData } from './symbolIndex.ts';

/** Up to this much debug information the index is built without asking: some 50 ms. */
const SMALL_BYTES = 8 << 20;

/** What distinguishes the index of one file from that of another. */
export interface ImageIdentity {
  readonly buildId: string | undefined;
  /** Names and sizes of the sections an index is made of. */
  readonly sections: string;
}

/**
 * Gets the index from elsewhere: one that was kept or, if `mayBuild` says so, one that a thread builds.
 * Undefined: there is none, or it was cancelled. When it rejects, the index is built here.
 */
export type LoadIndex = (image: ImageIdentity, mayBuild: boolean) => Promise<SymbolIndexData | undefined>;

export class ImageIndex {
  readonly #file: DwarfFile;
  readonly #identity: ImageIdentity;
  readonly #load: LoadIndex | undefined;
  #knownTables: NameTables | null | undefined;
  #index: SymbolIndex | undefined;
  #kept: Promise<void> | undefined;
  #loading: Promise<SymbolIndex | undefined> | undefined;

  constructor(file: DwarfFile, identity: ImageIdentity, load: LoadIndex | undefined) {
    this.#file = file;
    this.#identity = identity;
    this.#load = load;
  }

  /** The name tables that the file itself has. */
  get tables(): NameTables | undefined {
    this.#knownTables ??= nameTablesOf(this.#file) ?? null;
    return this.#knownTables ?? undefined;
  }

  get isSmall(): boolean {
    return (this.#file.section('.debug_info')?.sizeBytes ?? 0) <= SMALL_BYTES;
  }

  /** The index if it is ready or is built in no time. */
  get now(): SymbolIndex | undefined {
    return this.#index ?? (this.isSmall ? this.force() : undefined);
  }

  /** The index, whatever it takes. */
  force(): SymbolIndex {
    return (this.#index ??= new SymbolIndex(finish(buildIndex(this.#file))));
  }

  /**
   * Takes an index that was kept, if there is one: for questions that it speeds up, but that do not justify
   * building one.
   */
  async takeKept(): Promise<void> {
    if (this.now === undefined) await (this.#kept ??= this.#adopt(this.#load?.(this.#identity, false)));
  }

  /** A load that was cancelled is not tried again. Undefined when there will be no index. */
  ensure(): Promise<SymbolIndex | undefined> {
    return (this.#loading ??= this.#get());
  }

  async #get(): Promise<SymbolIndex | undefined> {
    await this.takeKept();
    if (this.now === undefined)
      await this.#adopt(this.#load?.(this.#identity, true).catch(() => this.#build()) ?? this.#build());
    return this.now;
  }

  async #adopt(loading: Promise<SymbolIndexData | undefined> | undefined): Promise<void> {
    const data = await loading;
    if (data !== undefined) this.#index ??= new SymbolIndex(data);
  }

  #build(): Promise<SymbolIndexData> {
    return inSlices(buildIndex(this.#file));
  }
}
