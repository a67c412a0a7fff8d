/**
 * The variables of one frame: which are in scope at its address, and where each lives. DWARF 5 §3.4, §4.1,
 * §2.6.
 */
import { toBytes } from '../../dwarf/byteOrder.ts';
import { toUnsigned } from '../../dwarf/address.ts';
import { DW_AT, DW_TAG } from '../../dwarf/constants.ts';
import { DwarfError } from '../../dwarf/dwarfError.ts';
import {
  type ExpressionContext,
  type Location,
  type Piece,
  NotSavedError,
  UnavailableError,
  evaluateLocation,
  evaluateValue,
} from '../../dwarf/expression.ts';
import { describeExpression } from '../../dwarf/expressionText.ts';
import { expressionAt } from '../../dwarf/locationLists.ts';
import { joinPieces } from '../../dwarf/pieces.ts';
import { type TypedValue, type ValueType, genericType, typed } from '../../dwarf/typedValue.ts';
import type { Die, Unit } from '../../dwarf/unit.ts';
import { QueryError } from '../base/queryError.ts';
import type { Macro } from '../names/imageMacros.ts';
import { type Dimension, isComputed, lowerBoundOf } from '../types/arrayBounds.ts';
import { type Type, sizeOf, typeName } from '../types/type.ts';
import type { TypeReader } from '../types/typeReader.ts';
import { withBounds } from '../types/variableLengths.ts';
import { childrenOf } from '../units/dieTree.ts';
import type { UnitFunctions } from '../units/unitFunctions.ts';
import { originChain } from '../units/unitFunctions.ts';
import type { Language } from '../values/literals.ts';
import {
  NOT_SAVED,
  OPTIMIZED_OUT,
  type Place,
  TargetValue,
  type ValueWorld,
  placeAt,
} from '../values/targetValue.ts';
import { type CallSite, callSiteAt, passedFor, passedIn, plainNameOf, tailCallsItself } from './callSites.ts';
import { type CodePlace, type DeclaredVariable, codePlace } from './codePlace.ts';
import type { FrameContext } from './frameContext.ts';
import type { FrameUnwinder } from './frameUnwinder.ts';
import type { MachineRegisters } from './machineRegisters.ts';

export interface LocalDescription {
  readonly name: string;
  readonly type: string;
  readonly isParameter: boolean;
  /** `frame base - 20`, `in $rdi`, `optimized out`. */
  readonly location: string;
  /** The function it belongs to: an inline chain has several. */
  readonly function: string;
  /** Which of the chain that is: 0 for the innermost. */
  readonly inlineDepth: number;
}

export interface ScopeImage {
  readonly machine: MachineRegisters;
  readonly unwinder: FrameUnwinder;
  readonly types: TypeReader;
  readonly addressSize: number;
  readonly littleEndian: boolean;
  unbiased(address: bigint): number;
  relocate(address: bigint): bigint;
  symbolize(address: bigint): string | undefined;
  unitAt(address: number): Unit | undefined;
  functionsOf(unit: Unit): UnitFunctions;
  symbolAddress(name: string): bigint | undefined;
  /** Entries that complete the declaration of a static member (§5.7.7). */
  definitionsOf(declaration: Die): readonly Die[];
  /** What a name is to the preprocessor at a link-time address. */
  macro(name: string, address: number): Macro | undefined;
}

/** A larger piece of an object is a mistake of the expression. */
const MAX_PIECE_BYTES = 1 << 20;

const LOCAL_TYPE_TAGS = new Set<number>([
  DW_TAG.typedef,
  DW_TAG.structure_type,
  DW_TAG.class_type,
  DW_TAG.union_type,
  DW_TAG.enumeration_type,
]);

export interface ScopeVariable {
  readonly name: string;
  readonly value: TargetValue;
  readonly isParameter: boolean;
  readonly depth: number;
}

export class FrameScope {
  readonly image: ScopeImage;
  readonly frame: FrameContext;
  readonly world: ValueWorld;
  /** Link-time address the frame's variables are looked up at. */
  readonly address: number | undefined;
  readonly unit: Unit | undefined;
  readonly #place: CodePlace;
  #knownCfa: Promise<bigint | undefined> | undefined;

  constructor(image: ScopeImage, frame: FrameContext, inlineDepth: number) {
    this.image = image;
    this.frame = frame;
    const { machine } = image;
    const pc = frame.registers.get(machine.names[machine.programCounter] as string);
    this.address =
      pc === undefined ? undefined : image.unbiased(pc) - (frame.pcIsReturnAddress === true ? 1 : 0);
    this.#place = codePlace(image, this.address, inlineDepth);
    this.unit = this.#place.unit;
    this.world = {
      littleEndian: image.littleEndian,
      addressSize: image.addressSize,
      isRust: this.language === 'rust',
      read: (address, lengthBytes) => frame.memory.read(address, lengthBytes),
      symbolize: (address) => image.symbolize(address),
      entry: (die, expression) => this.#staticMember(die, expression),
    };
  }

  /** Whose syntax and conversions expressions of this frame have. */
  get language(): Language {
    return this.#place.language;
  }

  /** `outer::Circle::size`: names are looked up in the scopes around it. */
  get functionName(): string | undefined {
    return this.#place.functionName;
  }

  /** A type declared inside the function, innermost block first. */
  findType(name: string): Type | undefined {
    const bare = name.replace(/^(?:struct|union|class|enum) /, '');
    for (const node of [...this.#place.nodes].reverse()) {
      const die = node.unit.die(node.dieOffset);
      for (const parent of originChain(die)) {
        for (const child of childrenOf(parent))
          if (LOCAL_TYPE_TAGS.has(child.tag) && child.string(DW_AT.name) === bare)
            return this.image.types.read(child);
      }
    }
    return undefined;
  }

  /** Innermost block first; parameters before locals within the function. */
  async variables(): Promise<ScopeVariable[]> {
    const declared = this.#place.variables;
    return Promise.all(declared.map((one) => this.#variable(one)));
  }

  /** Where the variables are, as text, without reading any. */
  describe(): Omit<LocalDescription, 'function' | 'inlineDepth'>[] {
    return this.#place.variables.map(({ name, die }) => {
      const chain = originChain(die);
      const typeDie = chain.find((candidate) => candidate.has(DW_AT.type));
      const type = typeDie === undefined ? '?' : typeName(this.image.types.typeOf(typeDie));
      return {
        name,
        type,
        isParameter: die.tag === DW_TAG.formal_parameter,
        location: this.#locationText(chain),
      };
    });
  }

  declares(name: string): boolean {
    return this.#place.variables.some((candidate) => candidate.name === name);
  }

  /** The innermost variable of that name. */
  async find(name: string): Promise<TargetValue | undefined> {
    const one = this.#place.variables.find((candidate) => candidate.name === name);
    return one && (await this.#variable(one)).value;
  }

  /** The value of a variable entry of this or any other unit, at file scope or in this frame. */
  async valueOf(die: Die, name: string): Promise<TargetValue> {
    const chain = originChain(die);
    const typeDie = chain.find((candidate) => candidate.has(DW_AT.type));
    const declared: Type =
      typeDie === undefined
        ? { kind: 'unknown', name: '?', sizeBytes: undefined }
        : this.image.types.typeOf(typeDie);
    const type = await withBounds(declared, (bound) => this.#dimension(bound));
    return new TargetValue(type, await this.#placeOf(chain, type), this.world, name);
  }

  /** Of an array of variable length: a bound is an expression or an artificial variable (§5.13). */
  async #dimension(bound: Die): Promise<Dimension> {
    const isCount = bound.has(DW_AT.count);
    const last = await this.#boundOf(bound, isCount ? DW_AT.count : DW_AT.upper_bound);
    const lowerBound = isComputed(bound, DW_AT.lower_bound)
      ? ((await this.#boundOf(bound, DW_AT.lower_bound)) ?? 0)
      : lowerBoundOf(bound, (die) => this.image.types.typeOf(die));
    const count = last === undefined || isCount ? last : last - lowerBound + 1;
    const isPossible = count !== undefined && count >= 0 && Number.isSafeInteger(count);
    return { count: isPossible ? count : undefined, ...(lowerBound !== 0 && { lowerBound }) };
  }

  async #boundOf(bound: Die, attribute: number): Promise<number | undefined> {
    const constant = bound.bigint(attribute);
    const expression = bound.block(attribute);
    const variable = expression === undefined ? bound.ref(attribute) : undefined;
    try {
      const value =
        constant ??
        (expression !== undefined
          ? (await evaluateValue(expression, this.context(bound.unit))).bits
          : variable && (await (await this.valueOf(variable, '')).unsigned()));
      return value === undefined ? undefined : Number(BigInt.asIntN(64, value));
    } catch (error) {
      if (error instanceof DwarfError || error instanceof QueryError) return undefined;
      throw error;
    }
  }

  /** Compilers differ in what the declaration in the class says: the definition has the rest. */
  async #staticMember(declaration: Die, name: string): Promise<TargetValue> {
    const declared = await this.valueOf(declaration, name);
    if (declared.place.kind !== 'missing') return declared;
    for (const die of this.image.definitionsOf(declaration)) {
      const defined = await this.valueOf(die, name);
      if (defined.place.kind !== 'missing') return defined;
    }
    return declared;
  }

  /** What expressions of this frame may ask for. `unit` is the one the expression is in. */
  context(unit: Unit): ExpressionContext {
    const { image, frame } = this;
    const { header } = unit;
    return {
      ...image.unwinder.context(frame),
      addressSize: header.addressSize,
      is64: header.is64,
      version: header.version,
      frameBase: () => this.#frameBase(),
      callFrameCfa: () => this.#cfa(),
      indexedAddress: (index) => toUnsigned(unit.indexedAddress(index)),
      baseType: (offset) => baseType(unit, offset),
      calledExpression: (offset, inSection) => this.#calledExpression(unit, offset, inSection),
      // DW_OP_entry_value (§2.5.1.7)
      entryValue: (expression) => this.#passedValue(unit, (site) => passedIn(site, expression)),
      parameterValue: (offset) =>
        this.#passedValue(unit, (site) => passedFor(site, unit.die(unit.header.offset + offset))),
      variableValue: (offset) => this.#variableValue(offset, unit),
    };
  }

  async #variable({ name, die, depth }: DeclaredVariable): Promise<ScopeVariable> {
    const value = await this.valueOf(die, name);
    return { name, value, isParameter: die.tag === DW_TAG.formal_parameter, depth };
  }

  async #placeOf(chain: readonly Die[], type: Type): Promise<Place> {
    try {
      for (const die of chain) {
        if (die.has(DW_AT.const_value)) return this.#constantPlace(die, type);
        if (!die.has(DW_AT.location)) continue;
        const expression = expressionAt(die, DW_AT.location, this.address ?? 0);
        if (expression === undefined || expression.length === 0) return missing(OPTIMIZED_OUT);
        return await this.#placeOfPieces(
          await evaluateLocation(expression, this.context(die.unit)),
          type,
          die.unit,
        );
      }
      return this.#declaredElsewhere(chain);
    } catch (error) {
      if (error instanceof NotSavedError) return missing(NOT_SAVED);
      if (error instanceof UnavailableError) return missing(OPTIMIZED_OUT);
      if (error instanceof QueryError) return missing(error.message);
      if (!(error instanceof DwarfError)) throw error;
      return missing(error.message.replace(/ at expression\+0x[0-9a-f]+$/, ''));
    }
  }

  #locationText(chain: readonly Die[]): string {
    const { addressSize, littleEndian, machine } = this.image;
    const registerName = (register: number): string => machine.names[register] ?? `r${register}`;
    for (const die of chain) {
      if (die.has(DW_AT.const_value)) {
        const value = die.bigint(DW_AT.const_value);
        return value === undefined ? 'constant' : `constant ${BigInt.asIntN(64, value)}`;
      }
      if (!die.has(DW_AT.location)) continue;
      const expression = expressionAt(die, DW_AT.location, this.address ?? 0);
      return expression === undefined
        ? OPTIMIZED_OUT
        : describeExpression(expression, {
            littleEndian,
            addressSize,
            is64: die.unit.header.is64,
            registerName,
            indexedAddress: (index) => die.unit.indexedAddress(index),
          });
    }
    return OPTIMIZED_OUT;
  }

  /** `extern int x;`: the definition is in another unit, its address in the symbol table. */
  #declaredElsewhere(chain: readonly Die[]): Place {
    const isExtern = chain.some((die) => die.flag(DW_AT.declaration) && die.flag(DW_AT.external));
    const linkage = chain.find((die) => die.has(DW_AT.linkage_name))?.string(DW_AT.linkage_name);
    const name = linkage ?? chain.find((die) => die.has(DW_AT.name))?.string(DW_AT.name);
    if (!isExtern || name === undefined) return missing(OPTIMIZED_OUT);
    const address = this.image.symbolAddress(name);
    return address === undefined ? missing(`no symbol ${name} defines it`) : { kind: 'memory', address };
  }

  #constantPlace(die: Die, type: Type): Place {
    const block = die.block(DW_AT.const_value);
    if (block !== undefined) return { kind: 'bytes', bytes: block };
    const bits = die.bigint(DW_AT.const_value);
    if (bits !== undefined) {
      return {
        kind: 'bytes',
        bytes: toBytes(BigInt.asUintN(128, bits), sizeOf(type) ?? 8, this.image.littleEndian),
      };
    }
    const text = die.string(DW_AT.const_value);
    return text === undefined
      ? missing(OPTIMIZED_OUT)
      : { kind: 'bytes', bytes: new TextEncoder().encode(`${text}\0`) };
  }

  /** `unit` is the one the description is in. */
  async #placeOfPieces(pieces: readonly Piece[], type: Type, unit: Unit): Promise<Place> {
    const [first] = pieces;
    if (first === undefined) return missing(OPTIMIZED_OUT);
    if (first.location.kind === 'implicitPointer' && first.sizeBits === undefined) {
      const { location } = first;
      return { kind: 'missing', reason: 'synthetic pointer', target: () => this.#pointee(location, unit) };
    }
    if (pieces.length === 1 && first.sizeBits === undefined)
      return this.#placeOfLocation(first.location, sizeOf(type) ?? 0);
    return this.#collect(pieces, type);
  }

  #placeOfLocation(location: Location, sizeBytes: number): Place {
    switch (location.kind) {
      case 'memory':
        return { kind: 'memory', address: location.address };
      case 'register':
        return this.#registerPlace(location.register, sizeBytes);
      case 'value': {
        const bytes = toBytes(location.value.bits, location.value.type.sizeBytes, this.image.littleEndian);
        return { kind: 'bytes', bytes: resized(bytes, sizeBytes) };
      }
      case 'implicit':
        return { kind: 'bytes', bytes: location.bytes };
      case 'implicitPointer':
        return missing('synthetic pointer');
      case 'optimizedOut':
        return missing(OPTIMIZED_OUT);
    }
  }

  /** The optimiser removed the pointer, not what it pointed at (§2.6.1.1.4). */
  async #pointee(
    { dieOffset, byteOffset }: Extract<Location, { kind: 'implicitPointer' }>,
    unit: Unit,
  ): Promise<TargetValue | undefined> {
    const die = unit.file.dieAt(dieOffset, unit);
    if (die === undefined) return undefined;
    const whole = await this.valueOf(die, plainNameOf(die) ?? '');
    if (byteOffset === 0) return whole;
    const place = placeAt(whole.place, byteOffset, Math.max((whole.sizeBytes ?? 0) - byteOffset, 0));
    return new TargetValue(whole.type, place, whole.world, whole.expression);
  }

  #registerPlace(register: number, sizeBytes: number): Place {
    const name = this.image.machine.names[register];
    const value = name === undefined ? undefined : this.frame.registers.get(name);
    if (name === undefined) return missing(`register ${register} is not known`);
    if (value === undefined) return missing(NOT_SAVED);
    const { littleEndian, addressSize } = this.image;
    // Smaller objects are the low end of the register, which big-endian machines would store last.
    const wholeBytes = littleEndian || sizeBytes === 0 ? Math.max(sizeBytes, addressSize) : sizeBytes;
    const bytes = toBytes(value, wholeBytes, littleEndian);
    return { kind: 'bytes', bytes, register: { name, value, offsetBytes: 0, wholeBytes } };
  }

  /** An object in several places (DW_OP_piece): its bytes put together as far as they are known. */
  async #collect(pieces: readonly Piece[], type: Type): Promise<Place> {
    const total = sizeOf(type) ?? Math.ceil(pieces.reduce((sum, { sizeBits = 0 }) => sum + sizeBits, 0) / 8);
    let lost: string | undefined;
    const parts = pieces.map(async ({ location, sizeBits = 0, offsetBits }) => {
      const sizeBytes = Math.min(Math.ceil((offsetBits + sizeBits) / 8), MAX_PIECE_BYTES);
      const found = await this.#pieceBytes(location, sizeBytes);
      if (typeof found === 'string') lost ??= found;
      return { bytes: typeof found === 'string' ? undefined : found, sizeBits, offsetBits };
    });
    const { bytes, known } = joinPieces(await Promise.all(parts), total, this.image.littleEndian);
    if (!known.includes(1)) return missing(lost ?? OPTIMIZED_OUT);
    return { kind: 'bytes', bytes, known, ...(lost !== undefined && { lost }) };
  }

  /** The bytes of one piece, or why there are none. */
  async #pieceBytes(location: Location, sizeBytes: number): Promise<Uint8Array | string> {
    const place = this.#placeOfLocation(location, sizeBytes);
    if (place.kind === 'missing') return place.reason;
    const value = new TargetValue({ kind: 'unknown', name: '', sizeBytes }, place, this.world, '');
    try {
      return await value.bytes(sizeBytes);
    } catch (error) {
      if (error instanceof QueryError) return error.message;
      throw error;
    }
  }

  #cfa(): Promise<bigint | undefined> {
    return (this.#knownCfa ??= this.image.unwinder.cfa(this.frame));
  }

  async #frameBase(): Promise<bigint | undefined> {
    const node = this.#place.functionNode;
    if (node === undefined || this.address === undefined) return undefined;
    const die = node.unit.die(node.dieOffset);
    const expression = expressionAt(die, DW_AT.frame_base, this.address);
    if (expression === undefined) return undefined;
    const context = this.context(node.unit);
    const [piece] = await evaluateLocation(expression, { ...context, frameBase: async () => undefined });
    const location = piece?.location;
    if (location?.kind === 'register') return context.register(location.register);
    if (location?.kind === 'value') return location.value.bits;
    return location?.kind === 'memory' ? location.address : undefined;
  }

  /** DW_OP_GNU_variable_value: the value of another variable, for sizes that depend on one. */
  async #variableValue(offset: number, unit: Unit): Promise<TypedValue | undefined> {
    const die = unit.file.dieAt(offset, unit);
    const value = die && (await this.valueOf(die, ''));
    if (value === undefined || value.place.kind === 'missing') return undefined;
    const bits = await value.unsigned();
    return bits === undefined ? undefined : typed(genericType(unit.header.addressSize), bits);
  }

  #calledExpression(unit: Unit, offset: number, inSection: boolean): Uint8Array | undefined {
    const die = unit.file.dieAt(inSection ? offset : unit.header.offset + offset, unit);
    return die && expressionAt(die, DW_AT.location, this.address ?? 0);
  }

  /**
   * The caller's call site says what it passed (§3.4): in the place an entry value names, or for a parameter.
   */
  async #passedValue(
    unit: Unit,
    find: (site: CallSite) => Uint8Array | undefined,
  ): Promise<TypedValue | undefined> {
    const type = genericType(unit.header.addressSize);
    const caller = await this.#callerFrame();
    if (caller === undefined || this.#place.functionNode === undefined) return undefined;
    const { machine } = this.image;
    const pc = caller.registers.get(machine.names[machine.programCounter] as string);
    if (pc === undefined) return undefined;
    const scope = new FrameScope(this.image, caller, 0);
    if (scope.#place.functionNode === undefined) return undefined;
    const site = callSiteAt(scope.#place.functionNode, this.image.unbiased(pc));
    const passed = site && find(site);
    if (site === undefined || passed === undefined || !(await this.#isCallOf(site, scope, pc)))
      return undefined;
    const value = await evaluateValue(passed, scope.context(site.unit));
    return typed(type, value.bits);
  }

  /**
   * Whether the call that returns to `pc` in `caller` entered this frame's function: if it called another, a
   * tail call led here and the arguments were for that one.
   */
  async #isCallOf(site: CallSite, caller: FrameScope, pc: bigint): Promise<boolean> {
    const node = this.#place.functionNode;
    const start = node?.ranges[0]?.start;
    if (node === undefined || start === undefined || tailCallsItself(node)) return false;
    if (site.callee !== undefined) return site.callee === plainNameOf(node.unit.die(node.dieOffset));
    const entry = this.image.relocate(toUnsigned(start));
    if (site.target !== undefined)
      return (await evaluateValue(site.target, caller.context(site.unit))).bits === entry;
    return (await directCallTarget(this.frame, pc)) === entry;
  }

  async #callerFrame(): Promise<FrameContext | undefined> {
    if (this.frame.caller !== undefined) return this.frame.caller();
    const caller = await this.image.unwinder.unwind(this.frame);
    return caller && { registers: caller.registers, memory: this.frame.memory, pcIsReturnAddress: true };
  }
}

/**
 * Where the x86 `call rel32` that ends at `returnAddress` leads: compilers leave calls of clones they made
 * unnamed.
 */
async function directCallTarget(frame: FrameContext, returnAddress: bigint): Promise<bigint | undefined> {
  const bytes = await frame.memory.read(returnAddress - 5n, 5);
  if (bytes === undefined || bytes[0] !== 0xe8) return undefined;
  const distance = new DataView(bytes.buffer, bytes.byteOffset).getInt32(1, true);
  return BigInt.asUintN(64, returnAddress + BigInt(distance));
}

function baseType(unit: Unit, offset: number): ValueType | undefined {
  const die = unit.die(unit.header.offset + offset);
  if (die.tag !== DW_TAG.base_type) return undefined;
  const encoding = die.number(DW_AT.encoding);
  const sizeBytes = die.number(DW_AT.byte_size);
  return encoding === undefined || sizeBytes === undefined
    ? undefined
    : { encoding, sizeBytes, isGeneric: false };
}

function missing(reason: string): Place {
  return { kind: 'missing', reason };
}

/**
 * The low end of a value on the stack, or the value widened with zeros: a 4-byte int computed as an 8-byte
 * address.
 */
function resized(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  if (sizeBytes <= bytes.length) return bytes.subarray(0, sizeBytes);
  const wider = new Uint8Array(sizeBytes);
  wider.set(bytes);
  return wider;
}
