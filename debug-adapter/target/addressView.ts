/**
 * What the symbol files of a session say about an address, in one address space: the first image that knows
 * it answers.
 */
import type { FunctionRange, InlineFrame, LineRow, SymbolAt, SymbolImage } from '../symbols/symbolImage.ts';

/**
 * A source line and where it was recorded, so that its path can be resolved against the file that names it.
 */
export interface FoundLine {
  readonly row: LineRow;
  readonly imagePath: string;
}

/** Beyond this distance a nearest symbol is meaningless. */
const MAX_SYMBOL_OFFSET = 0x10_0000n;

export class AddressView {
  readonly images: readonly SymbolImage[];

  constructor(images: readonly SymbolImage[]) {
    this.images = images;
  }

  lineAt(address: bigint): FoundLine | undefined {
    return this.#first((image) => {
      const row = image.lineAt(address);
      return row && { row, imagePath: image.path };
    });
  }

  functionAt(address: bigint): FunctionRange | undefined {
    return this.#first((it) => it.functionAt(address));
  }

  symbolAt(address: bigint): SymbolAt | undefined {
    const found = this.images.flatMap((image) => image.symbolAt(address) ?? []);
    const [nearest] = found.sort((a, b) => (a.offset < b.offset ? -1 : 1));
    return nearest !== undefined && nearest.offset <= MAX_SYMBOL_OFFSET ? nearest : undefined;
  }

  /** `kmain+0x12`, the function's name where DWARF knows it, else the symbol's. */
  describe(address: bigint): string | undefined {
    const found = this.functionAt(address);
    const named =
      found === undefined ? this.symbolAt(address) : { name: found.name, offset: address - found.start };
    if (named === undefined) return undefined;
    return named.offset === 0n ? named.name : `${named.name}+0x${named.offset.toString(16)}`;
  }

  /** Innermost first; empty when no function is known. */
  inlineChainAt(address: bigint): readonly InlineFrame[] {
    return this.#first((it) => nonEmpty(it.inlineChainAt(address))) ?? [];
  }

  /** The image whose code or data an address is in. */
  imageAt(address: bigint): SymbolImage | undefined {
    const { images } = this;
    return (
      images.find((it) => it.functionAt(address) !== undefined) ??
      images.find((it) => it.symbolAt(address) !== undefined)
    );
  }

  /** First address of the code `address` is in, as DWARF or the symbol table knows it. */
  codeStart(address: bigint): bigint | undefined {
    const start = this.functionAt(address)?.start;
    if (start !== undefined) return start;
    const symbol = this.symbolAt(address);
    return symbol === undefined ? undefined : address - symbol.offset;
  }

  statementRange(address: bigint): { readonly start: bigint; readonly end: bigint } | undefined {
    return this.#first((it) => it.statementRange(address));
  }

  prologueEnd(start: bigint): bigint {
    return (
      this.#first((it) => (it.functionAt(start) === undefined ? undefined : it.prologueEnd(start))) ?? start
    );
  }

  #first<T>(ask: (image: SymbolImage) => T | undefined): T | undefined {
    for (const image of this.images) {
      const answer = ask(image);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }
}

function nonEmpty<T>(items: readonly T[]): readonly T[] | undefined {
  return items.length === 0 ? undefined : items;
}

/**
 * Of images of the same code the one with the most information comes first: a kernel repacked for a boot
 * loader has a symbol table at most, the file it was made of has the rest. All others stay in their order.
 */
export function bestFirst(images: readonly SymbolImage[]): SymbolImage[] {
  const ordered: SymbolImage[] = [];
  for (const image of images) {
    const worse = ordered.findIndex((other) => knowsMore(image, other) && shareCode(image, other));
    ordered.splice(worse < 0 ? ordered.length : worse, 0, image);
  }
  return ordered;
}

/** 64-bit information before that of the 32-bit code that leads there, then the larger. */
function knowsMore(image: SymbolImage, other: SymbolImage): boolean {
  const [bytes, otherBytes] = [image.debugInfoBytes, other.debugInfoBytes];
  if (bytes === 0 || otherBytes === 0 || image.machine === other.machine) return bytes > otherBytes;
  return image.machine === 'x86-64';
}

function shareCode(image: SymbolImage, other: SymbolImage): boolean {
  return image.codeRanges.some((range) =>
    other.codeRanges.some(({ start, end }) => start < range.end && range.start < end),
  );
}
