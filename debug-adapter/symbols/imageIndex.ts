/** The index of one image: built on the spot where that takes no time, else got once, when first needed. */
import type { DwarfFile } from '../dwarf/dwarfFile.ts';
import { buildIndex } from './buildIndex.ts';
import { finish, inSlices } from './steps.ts';
import { SymbolIndex, type SymbolIndexData } from './symbolIndex.ts';

/** Up to this much debug information the index is built without asking: some 50 ms. */
const SMALL_BYTES = 8 << 20;

/** Gets the index from elsewhere: a cache, a thread. Undefined when there will be none. */
export type LoadIndex = () => Promise<SymbolIndexData | undefined>;

export class ImageIndex {
  private readonly file: DwarfFile;
  private readonly load: LoadIndex | undefined;
  private index: SymbolIndex | undefined;
  private loading: Promise<SymbolIndex | undefined> | undefined;

  constructor(file: DwarfFile, load: LoadIndex | undefined) {
    this.file = file;
    this.load = load;
  }

  get isSmall(): boolean {
    return (this.file.section('.debug_info')?.sizeBytes ?? 0) <= SMALL_BYTES;
  }

  /** The index if it is there or is built in no time. */
  get now(): SymbolIndex | undefined {
    return this.index ?? (this.isSmall ? this.force() : undefined);
  }

  /** The index, whatever it takes. */
  force(): SymbolIndex {
    return (this.index ??= new SymbolIndex(finish(buildIndex(this.file))));
  }

  /** Asked once: a load that failed or was cancelled is not tried again. Undefined when there will be no index. */
  ensure(): Promise<SymbolIndex | undefined> {
    return (this.loading ??= this.get());
  }

  private async get(): Promise<SymbolIndex | undefined> {
    if (this.now !== undefined) return this.now;
    const data = await (this.load === undefined ? inSlices(buildIndex(this.file)) : this.load());
    if (data !== undefined) this.index ??= new SymbolIndex(data);
    return this.index;
  }
}
