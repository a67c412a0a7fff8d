/**
 * SymbolImage over one ELF file: puts the pieces of this folder together and translates addresses at its
 * edge.
 */
import type { ByteSource } from '../../vmm-core/elf/byteSource.ts';
import { ElfError } from '../../vmm-core/elf/elfError.ts';
import { type ElfFile, parseElf } from '../../vmm-core/elf/elfFile.ts';
import { buildIdNote } from '../../vmm-core/elf/elfNotes.ts';
import { bestSymbolTable } from '../../vmm-core/elf/elfSymbols.ts';
import { toSigned, toUnsigned, type Range } from '../dwarf/address.ts';
import { DwarfError } from '../dwarf/dwarfError.ts';
import { DwarfFile } from '../dwarf/dwarfFile.ts';
import { ROW_IS_STMT } from '../dwarf/line.ts';
import type { Unit } from '../dwarf/unit.ts';
import { finish, inSlices, type Steps } from './base/steps.ts';
import {
  BreakpointPlaces,
  type CodeLocation,
  type FunctionLocation,
} from './breakpoints/breakpointPlaces.ts';
import { SourceFinder } from './breakpoints/lineBreakpoints.ts';
import { imageMachine } from './files/imageMachine.ts';
import { codeRanges, debugSections, elfSectionLoader, placed, rangesInclude } from './files/imageSections.ts';
import { SplitUnits } from './files/splitUnits.ts';
import { openSupplement } from './files/supplement.ts';
import type { FrameContext } from './frames/frameContext.ts';
import type { ScopeImage, LocalDescription } from './frames/frameScope.ts';
import type { FrameDescription } from './frames/frameText.ts';
import { FrameUnwinder, type UnwoundFrame } from './frames/frameUnwinder.ts';
import { type MachineRegisters, machineRegisters } from './frames/machineRegisters.ts';
import { ImageQueries } from './imageQueries.ts';
import { ImageIndex } from './index/imageIndex.ts';
import { AsideUnits } from './names/asideUnits.ts';
import { ElfSymbolIndex } from './names/elfSymbolIndex.ts';
import { FunctionFinder } from './names/functionFinder.ts';
import { ImageMacros, type Macro } from './names/imageMacros.ts';
import { ImageNames } from './names/imageNames.ts';
import { readableSymbol } from './names/symbolNames.ts';
import type {
  AddressRange,
  CompiledExpression,
  FunctionRange,
  InlineFrame,
  LineRow,
  SlicedQuestions,
  SymbolAt,
  SymbolImage,
  SymbolImageOptions,
  Variable,
} from './symbolImage.ts';
import { UnitCache } from './units/unitCache.ts';
import { type FunctionNode, containing } from './units/unitFunctions.ts';
import type { UnitLines } from './units/unitLines.ts';
import { UnitRanges } from './units/unitRanges.ts';
import type { Language } from './values/literals.ts';
import type { Value } from './values/value.ts';

const MAX_PROBLEMS = 200;

interface PartialPosition {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

export class ElfSymbolImage implements SymbolImage {
  readonly path: string;
  readonly buildId: string | undefined;
  readonly buildIdAddress: bigint | undefined;
  readonly loadBias: bigint;
  readonly machine: string;
  readonly #elf: ElfFile;
  readonly #addressSize: number;
  readonly #code: readonly Range[];
  readonly #dwarf: DwarfFile;
  readonly #cache: UnitCache;
  readonly #units: UnitRanges;
  readonly #sources: SourceFinder;
  readonly #index: ImageIndex;
  readonly #finder: FunctionFinder;
  readonly #places: BreakpointPlaces;
  readonly #found = new Set<string>();
  readonly #macros: ImageMacros;
  readonly #unwinder: FrameUnwinder;
  readonly #names: ImageNames;
  readonly #queries: ImageQueries;
  #symbolIndex: ElfSymbolIndex | null | undefined;

  constructor(source: ByteSource, options: SymbolImageOptions) {
    this.path = source.name;
    this.loadBias = options.loadBias ?? 0n;
    this.#elf = placed(parseElf(source), options.sectionAddresses);
    this.#code = codeRanges(this.#elf);
    const isCode = (address: number): boolean => rangesInclude(this.#code, address);
    const { decompressors = {} } = options;
    const note = (message: string): void => this.#note(message);
    const { openDwo: open } = options;
    const supplement = openSupplement(this.#elf, { open, decompressors, note });
    this.#dwarf = new DwarfFile(elfSectionLoader(this.#elf, decompressors, note), {
      littleEndian: this.#elf.littleEndian,
      onProblem: (problem) => this.#note(problem.message),
      supplement,
    });
    const machine = imageMachine(this.#elf, this.#dwarf);
    this.machine = machine.name;
    this.#addressSize = machine.addressSize;
    const id = this.#guard(undefined, () => buildIdNote(this.#elf));
    this.buildId = id?.id;
    this.buildIdAddress = id?.address && this.#biased(toSigned(id.address, this.#addressSize));
    const split = new SplitUnits({
      programPath: source.name,
      open,
      decompressors,
      note,
    });
    this.#cache = new UnitCache(this.#dwarf, isCode, split);
    this.#units = new UnitRanges(this.#dwarf, isCode);
    this.#index = new ImageIndex(
      this.#dwarf,
      { buildId: this.buildId, sections: debugSections(this.#elf, supplement) },
      options.loadIndex,
    );
    this.#sources = new SourceFinder(this.#cache, () => this.#index.now);
    const aside = new AsideUnits(
      this.#dwarf,
      (unit) => this.#cache.fullUnit(unit),
      () => split.packagedTypes(),
    );
    this.#names = new ImageNames(this.#dwarf, this.#index, aside, this.#addressSize);
    this.#finder = new FunctionFinder(this.#cache, this.#units, () => this.#symbols);
    this.#places = new BreakpointPlaces({
      cache: this.#cache,
      sources: this.#sources,
      finder: this.#finder,
      names: this.#names,
      symbols: () => this.#symbols,
      isCode,
      biased: (address) => this.#biased(address),
    });
    this.#macros = new ImageMacros(this.#cache);
    const registers = machineRegisters(machine.number);
    this.#unwinder = this.#makeUnwinder(registers);
    this.#queries = this.#makeQueries(registers, this.#unwinder);
  }

  get entry(): bigint {
    return this.#biased(toSigned(this.#elf.entry, this.#addressSize));
  }

  get hasLines(): boolean {
    return (
      this.#dwarf.section('.debug_line') !== undefined && this.#dwarf.section('.debug_info') !== undefined
    );
  }

  get debugInfoBytes(): number {
    return this.#dwarf.section('.debug_info')?.sizeBytes ?? 0;
  }

  get codeRanges(): readonly AddressRange[] {
    return this.#code.map((range) => this.#range(range));
  }

  problems(): readonly string[] {
    return [...this.#found];
  }

  files(): readonly string[] {
    return this.#guard([], () => finish(this.#sources.allFiles()));
  }

  lineAt(address: bigint): LineRow | undefined {
    return this.#guard(undefined, () => {
      const at = this.#unbiased(address);
      const lines = this.#linesAt(at);
      const row = lines?.rowAt(at) ?? -1;
      return lines === undefined || row < 0 ? undefined : this.#lineRow(lines, row);
    });
  }

  functionAt(address: bigint): FunctionRange | undefined {
    return this.#guard(undefined, () => {
      const found = this.#finder.around(this.#unbiased(address));
      if (found === undefined) return undefined;
      const range = { name: found.name, start: this.#biased(found.start), end: this.#biased(found.end) };
      return { ...range, ...this.#finder.declaration(found) };
    });
  }

  symbolAt(address: bigint): SymbolAt | undefined {
    return this.#guard(undefined, () => {
      const at = this.#unbiased(address);
      const symbol = this.#symbols?.at(at);
      return symbol && { name: symbol.name, offset: BigInt(at - symbol.address) };
    });
  }

  symbolByName(name: string): { address: bigint; sizeBytes: number } | undefined {
    return this.#guard(undefined, () => {
      const symbol = this.#symbols?.named(name)[0];
      return symbol?.name === name
        ? { address: this.#biased(symbol.address), sizeBytes: symbol.sizeBytes }
        : undefined;
    });
  }

  inlineChainAt(address: bigint): readonly InlineFrame[] {
    return this.#guard([], () => {
      const at = this.#unbiased(address);
      const unit = this.#units.unitAt(at);
      const nodes = unit === undefined ? [] : this.#cache.functionsOf(unit).chainAt(at);
      if (unit === undefined || nodes.length === 0) {
        const found = this.#finder.around(at);
        return found === undefined
          ? []
          : [{ function: found.name, inlined: false, range: this.#range(found), ...this.#position(at) }];
      }
      return this.#chainFrames(unit, nodes, at);
    });
  }

  addressesOf(file: string, line: number, column?: number): readonly CodeLocation[] {
    return this.#guard([], () => finish(this.#places.addressesOf(file, line, column)));
  }

  breakpointLines(
    file: string,
    fromLine: number,
    toLine: number,
  ): readonly { line: number; columns: readonly number[] }[] {
    return this.#guard([], () => finish(this.#places.breakpointLines(file, fromLine, toLine)));
  }

  functionByName(name: string): readonly FunctionLocation[] {
    return this.#guard([], () => {
      // Without a symbol table nothing but the index knows functions by name.
      if (this.#symbols === undefined) this.#index.force();
      return finish(this.#places.functionsNamed(name));
    });
  }

  readonly sliced: SlicedQuestions = {
    filesNamed: (name) => this.#withKeptIndex(() => this.#sources.filesNamed(name)),
    addressesOf: (file, line, column) =>
      this.#withKeptIndex(() => this.#places.addressesOf(file, line, column)),
    breakpointLines: (file, fromLine, toLine) =>
      this.#withKeptIndex(() => this.#places.breakpointLines(file, fromLine, toLine)),
    functionByName: (name) => this.#guardAsync([], () => inSlices(this.#places.functionsNamed(name))),
  };

  get isIndexed(): boolean {
    return this.#index.tables !== undefined || this.#index.now !== undefined;
  }

  async prepareIndex(): Promise<boolean> {
    return this.#guardAsync(false, async () => (await this.#index.ensure()) !== undefined);
  }

  statementRange(address: bigint): AddressRange | undefined {
    return this.#guard(undefined, () => {
      const at = this.#unbiased(address);
      const lines = this.#linesAt(at);
      const row = lines?.rowAt(at) ?? -1;
      if (lines === undefined || row < 0 || lines.rows.line[row] === 0) return undefined;
      const range = statementAround(lines, row, at);
      const enclosing = this.#finder.around(at);
      return this.#range({
        start: Math.max(range.start, enclosing?.start ?? -Infinity),
        end: Math.min(range.end, enclosing?.end ?? Infinity),
      });
    });
  }

  prologueEnd(start: bigint): bigint {
    return this.#guard(start, () => {
      const at = this.#unbiased(start);
      const found = this.#finder.around(at);
      return found === undefined ? start : this.#biased(this.#finder.afterPrologue({ ...found, start: at }));
    });
  }

  isInPrologue(address: bigint): boolean {
    return this.#guard(false, () => {
      const at = this.#unbiased(address);
      const found = this.#finder.around(at);
      return found !== undefined && at < this.#finder.afterPrologue(found);
    });
  }

  isOutermost(frame: FrameContext): boolean {
    return this.#guard(false, () => this.#unwinder.isOutermost(frame));
  }

  async unwindFrame(frame: FrameContext): Promise<UnwoundFrame | undefined> {
    return this.#guardAsync(undefined, () => this.#unwinder.unwind(frame));
  }

  async unwindByTables(frame: FrameContext): Promise<UnwoundFrame | undefined> {
    return this.#guardAsync(undefined, () => this.#unwinder.unwindByTables(frame));
  }

  async localsAt(frame: FrameContext, inlineDepth = 0): Promise<readonly Variable[]> {
    return this.#guardAsync([], () => this.#queries.localsAt(frame, inlineDepth));
  }

  async evaluate(expression: string, frame: FrameContext, inlineDepth = 0): Promise<Value> {
    return (await this.compile(expression, frame, inlineDepth)).evaluate(frame, inlineDepth);
  }

  async compile(expression: string, frame: FrameContext, inlineDepth = 0): Promise<CompiledExpression> {
    return this.#queries.compile(expression, frame, inlineDepth);
  }

  async knows(name: string, frame: FrameContext, inlineDepth = 0): Promise<boolean> {
    return this.#guardAsync(false, () => this.#queries.knows(name, frame, inlineDepth));
  }

  languageAt(address: bigint): Language {
    return this.#guard('c', () => this.#queries.languageAt(this.#unbiased(address)));
  }

  async compileAt(expression: string, address: bigint): Promise<CompiledExpression> {
    return this.#queries.compileAt(expression, address);
  }

  async describeType(name: string): Promise<string | undefined> {
    return this.#guardAsync(undefined, () => this.#queries.describeType(name));
  }

  describeLocals(address: bigint): readonly LocalDescription[] {
    return this.#guard([], () => this.#queries.describeLocals(address, this.inlineChainAt(address)));
  }

  describeFrame(address: bigint): FrameDescription | undefined {
    return this.#guard(undefined, () => this.#unwinder.describe(this.#unbiased(address)));
  }

  macro(name: string, address?: bigint): Macro | undefined {
    return this.#guard(undefined, () =>
      address === undefined ? this.#macros.anywhere(name) : this.#macroAt(name, this.#unbiased(address)),
    );
  }

  functionsMatching(pattern: RegExp, limit = 1000): readonly string[] {
    const found = new Set<string>();
    const add = (name: string): void => {
      if (found.size < limit && pattern.test(name)) found.add(name);
    };
    const isMangled = (name: string): boolean => /^_[ZR]/.test(name);
    for (const name of this.#symbols?.functionNames() ?? []) if (!isMangled(name)) add(name);
    // The others as their programmers write them, if they have entries.
    for (const { name, address } of this.#symbols?.mangledFunctions('') ?? [])
      add(this.#guard(undefined, () => this.#finder.around(address)?.name) ?? name);
    return [...found].sort();
  }

  #makeUnwinder(machine: MachineRegisters): FrameUnwinder {
    return new FrameUnwinder({
      elf: this.#elf,
      dwarf: this.#dwarf,
      machine,
      addressSize: this.#addressSize,
      unbiased: (address) => this.#unbiased(address),
      relocate: (address) => BigInt.asUintN(64, address + this.loadBias),
      isCode: (address) => rangesInclude(this.#code, address),
      functionStart: (address) => this.#finder.around(address)?.start,
    });
  }

  #macroAt(name: string, address: number): Macro | undefined {
    const unit = this.#units.unitAt(address);
    const row = this.lineAt(this.#biased(address));
    return unit && this.#macros.inUnit(name, unit, row);
  }

  #makeQueries(machine: MachineRegisters, unwinder: FrameUnwinder): ImageQueries {
    const image: ScopeImage = {
      machine,
      unwinder,
      types: this.#names.types,
      addressSize: this.#addressSize,
      littleEndian: this.#elf.littleEndian,
      unbiased: (address) => this.#unbiased(address),
      relocate: (address) => BigInt.asUintN(64, address + this.loadBias),
      symbolize: (address) => this.#symbolize(address),
      unitAt: (address) => {
        const unit = this.#units.unitAt(address);
        return unit && this.#cache.fullUnit(unit);
      },
      functionsOf: (unit) => this.#cache.functionsOf(unit),
      symbolAddress: (name) => this.symbolByName(name)?.address,
      definitionsOf: (declaration) => this.#names.definitionsOf(declaration),
      macro: (name, address) => this.#macroAt(name, address),
    };
    return new ImageQueries(image, this.#names, (name) => {
      const symbol = this.#symbols?.named(name).find((candidate) => candidate.name === name);
      return symbol && { address: this.#biased(symbol.address), isFunction: symbol.isFunction };
    });
  }

  /** `main+4`; nothing for addresses outside every symbol. */
  #symbolize(address: bigint): string | undefined {
    const symbol = this.symbolAt(address);
    if (symbol === undefined) return undefined;
    const name = this.#programmersName(symbol, address);
    return symbol.offset === 0n ? name : `${name}+${symbol.offset}`;
  }

  /** Mangled names as the debug information has them, when it knows the function. */
  #programmersName({ name, offset }: SymbolAt, address: bigint): string {
    if (!/^_[ZR]/.test(name)) return name;
    const start = this.#unbiased(address - offset);
    const isCode = rangesInclude(this.#code, start);
    const found = isCode ? this.#guard(undefined, () => this.#finder.around(start)) : undefined;
    return found?.start === start && found.name !== name ? found.name : readableSymbol(name);
  }

  get #symbols(): ElfSymbolIndex | undefined {
    if (this.#symbolIndex === undefined) {
      const table = this.#guard(undefined, () => bestSymbolTable(this.#elf));
      this.#symbolIndex = table === undefined ? null : new ElfSymbolIndex(table, this.#elf);
    }
    return this.#symbolIndex ?? undefined;
  }

  #linesAt(address: number): UnitLines | undefined {
    const unit = this.#units.unitAt(address);
    return unit && this.#cache.linesOf(unit);
  }

  /** Frames of an inline chain. `nodes` is outermost first; the answer innermost first. */
  #chainFrames(unit: Unit, nodes: readonly FunctionNode[], at: number): InlineFrame[] {
    const functions = this.#cache.functionsOf(unit);
    const lines = this.#cache.linesOf(unit);
    const frames: InlineFrame[] = [];
    let position = lines === undefined ? {} : this.#positionIn(lines, at);
    for (const node of [...nodes].reverse()) {
      const range = containing(node.ranges, at) ?? { start: at, end: at + 1 };
      const name = functions.nameOf(node) ?? this.#symbols?.at(range.start)?.name ?? '??';
      frames.push({
        function: name,
        inlined: node.kind === 'inlined',
        range: this.#range(range),
        ...position,
      });
      if (node.kind === 'function') break;
      const { file, line, column } = functions.callPlace(node);
      position = {
        ...(file !== undefined && lines !== undefined && { file: lines.path(file) }),
        ...(line !== undefined && { line }),
        ...(column !== undefined && { column }),
      };
    }
    return frames;
  }

  #position(at: number): PartialPosition {
    const lines = this.#linesAt(at);
    return lines === undefined ? {} : this.#positionIn(lines, at);
  }

  #positionIn(lines: UnitLines, at: number): PartialPosition {
    const row = lines.rowAt(at);
    const { rows } = lines;
    if (row < 0 || rows.line[row] === 0) return {};
    return {
      file: lines.path(rows.file[row] as number),
      line: rows.line[row] as number,
      column: rows.column[row] as number,
    };
  }

  /** A row without a line (line 0) is code that belongs to no source line. */
  #lineRow(lines: UnitLines, row: number): LineRow | undefined {
    const { rows } = lines;
    const line = rows.line[row] as number;
    if (line === 0) return undefined;
    return {
      file: lines.path(rows.file[row] as number),
      line,
      column: rows.column[row] as number,
      range: this.#range({ start: rows.address.at(row), end: lines.rowEnd(row) }),
      isStatement: ((rows.flags[row] as number) & ROW_IS_STMT) !== 0,
    };
  }

  #withKeptIndex<T>(question: () => Steps<readonly T[]>): Promise<readonly T[]> {
    return this.#guardAsync<readonly T[]>([], async () => {
      await this.#index.takeKept();
      return inSlices(question());
    });
  }

  #range({ start, end }: Range): AddressRange {
    return { start: this.#biased(start), end: this.#biased(end) };
  }

  #biased(address: number): bigint {
    return BigInt.asUintN(64, toUnsigned(address) + this.loadBias);
  }

  #unbiased(address: bigint): number {
    return toSigned(BigInt.asUintN(64, address - this.loadBias), this.#addressSize);
  }

  #note(message: string): void {
    if (this.#found.size < MAX_PROBLEMS) this.#found.add(message);
  }

  /** Broken debug information answers as if it were missing. */
  #guard<T>(fallback: T, question: () => T): T {
    try {
      return question();
    } catch (error) {
      return this.#noted(error, fallback);
    }
  }

  async #guardAsync<T>(fallback: T, question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      return this.#noted(error, fallback);
    }
  }

  /** Anything that a file cannot cause is a bug of ours and is rethrown. */
  #noted<T>(error: unknown, fallback: T): T {
    if (!(error instanceof DwarfError || error instanceof ElfError)) throw error;
    this.#note(error.message);
    return fallback;
  }
}

/**
 * Neighbouring rows of the same line; rows that no debugger stops at (line 0, no statement) join the one
 * before them.
 */
function statementAround(lines: UnitLines, row: number, at: number): Range {
  const { rows } = lines;
  const sequence = lines.sequenceAt(at);
  const first = sequence?.first ?? row;
  const last = sequence?.last ?? row + 1;
  const line = rows.line[row];
  const file = rows.file[row];
  const belongs = (candidate: number): boolean => {
    if (rows.line[candidate] === line && rows.file[candidate] === file) return true;
    return rows.line[candidate] === 0 || ((rows.flags[candidate] as number) & ROW_IS_STMT) === 0;
  };
  let from = row;
  while (from > first && belongs(from - 1)) from--;
  let to = row + 1;
  while (to < last && belongs(to)) to++;
  return { start: rows.address.at(from), end: rows.address.at(to) };
}
