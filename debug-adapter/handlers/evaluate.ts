/** Watch, hover and the debug console: C expressions by the program's types, and plain ones over registers, symbols and memory. */
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { CpuRegisters } from '../../vmm-core/protocol/registers.ts';
import { USER_ERROR, UserError } from '../errors.ts';
import type { SessionState } from '../session/sessionState.ts';
import type { ShownFrame } from '../session/stopView.ts';
import type { Language } from '../symbols/values/literals.ts';
import { QueryError } from '../symbols/base/queryError.ts';
import {
  evaluateExpression,
  type ExpressionEnvironment,
  type ExpressionValue,
} from '../target/expression.ts';
import type { AddressView } from '../target/addressView.ts';
import { codeBits, registerAlias, registerValue } from '../target/registers.ts';
import { lookupAddress, topFrame } from '../target/unwind.ts';
import { hex } from '../target/vmTarget.ts';
import { examineMemory } from './examine.ts';
import { frameNow, framesOf } from '../session/frames.ts';
import { assignTyped } from './assignments.ts';
import { evaluateTyped, explain, formatOf, showValue } from './locals.ts';
import type { Value } from '../symbols/values/value.ts';
import { memoryChanged, registersChanged } from '../session/invalidation.ts';

type EvaluateBody = DebugProtocol.EvaluateResponse['body'];

/** `target = value`, but not `==`. */
const ASSIGNMENT = /^([^=]+)=([^=]+)$/;
/** gdb's `x/16xb ADDRESS`. */
const EXAMINE = /^x(?:\/(\S*))?\s+(.+)$/;
/** `1e3` and `0x1p3`; those with a point are not taken for anything else. */
const FRACTION = /(?<![\w$])(?:\d+[eE][-+]?\d|0[xX][\da-fA-F]*[pP])/;
/** `7u`, `1LL`: with a suffix a number has a type of C. */
const SUFFIXED = /(?<![\w$])(?:0[xX][\da-fA-F']+|\d[\d']*)(?:[uU]|[lL])/;
/** gdb's `print/x EXPRESSION`. */
const PRINT = /^(?:p|print|inspect|output)(?:\s*\/(\w+))?\s+(.+)$/s;
/** gdb's `ptype TYPE` and `whatis EXPRESSION`. */
const ASK_TYPE = /^(ptype|whatis)\s+(.+)$/s;

export async function evaluate(
  state: SessionState,
  args: DebugProtocol.EvaluateArguments,
): Promise<EvaluateBody> {
  const shown = args.frameId === undefined ? await topShownFrame(state) : state.stop.frame(args.frameId);
  const text = args.expression.trim();
  if (args.context !== 'repl') return valueOf(state, text, shown, formatOf(args.format));
  try {
    return await command(state, text, shown, formatOf(args.format));
  } catch (error) {
    throw withCaret(error, text);
  }
}

/** What is typed in the Debug Console: gdb's commands for looking at things, assignments, expressions. */
async function command(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
  format: string | undefined,
): Promise<EvaluateBody> {
  const [, how, address] = EXAMINE.exec(text) ?? [];
  if (address !== undefined) {
    const start = await evaluateNumber(state, address, shown);
    return plain(await examineMemory(state, shown?.cpu ?? state.currentCpu, how ?? '', start));
  }
  const [, asked, name] = ASK_TYPE.exec(text) ?? [];
  if (asked !== undefined && name !== undefined && shown !== undefined)
    return plain(await typeText(state, asked === 'ptype', name, shown));
  const [, letters, printed] = PRINT.exec(text) ?? [];
  if (printed !== undefined && !/^[-+*/%&|^<>=]/.test(printed))
    return valueOf(state, printed, shown, letters ?? format);
  return (await assign(state, text, shown)) ?? valueOf(state, text, shown, format);
}

/** The place of a mistake under the expression it is in. */
function withCaret(error: unknown, text: string): unknown {
  const { cause } = error instanceof UserError ? error : { cause: error };
  if (!(cause instanceof QueryError) || cause.column === undefined || text.includes('\n')) return error;
  const caret = `${' '.repeat(cause.column - 1)}^`;
  return new UserError(USER_ERROR.expression, `${cause.message}\n${text}\n${caret}`, { cause });
}

async function typeText(
  state: SessionState,
  whole: boolean,
  name: string,
  shown: ShownFrame,
): Promise<string> {
  const explained = await explain(state, shown);
  if (explained === undefined) throw new UserError(USER_ERROR.expression, 'no symbols describe types here');
  const described = whole ? await explained.image.describeType(name) : undefined;
  if (described !== undefined) return described;
  const value = await evaluateTyped(state, name, shown);
  if (value === undefined || value instanceof QueryError)
    throw new UserError(USER_ERROR.expression, value?.message ?? `no type named ${name}`, { cause: value });
  const type = value.type ?? '';
  return (whole ? await explained.image.describeType(type.replace(/[\s*&]+$/, '')) : undefined) ?? type;
}

/** Without a frame: that of the vCPU last stopped. */
async function topShownFrame(state: SessionState): Promise<ShownFrame | undefined> {
  if (state.requireTarget().state !== 'paused') return undefined;
  const cpu = state.currentCpu;
  const [frame] = await framesOf(state, cpu, 1);
  return frame && { cpu, depth: 0, inlineDepth: 0 };
}

/** By the program's types, where they are known; else, and for what those do not know, as an expression over addresses. */
async function valueOf(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
  format?: string,
): Promise<EvaluateBody> {
  const isAsked = format !== undefined && format !== 'h';
  const typed =
    shown !== undefined && (isAsked || (await namesProgram(state, text, shown)))
      ? await evaluateTyped(state, text, shown, format)
      : undefined;
  if (typed !== undefined && !(typed instanceof QueryError)) {
    const { value, ...rest } = typed;
    return { result: value, ...rest };
  }
  try {
    const result = await evaluateExpression(text, await environment(state, shown));
    return describe(await state.viewOf(shown?.cpu ?? state.currentCpu), result);
  } catch (error) {
    const unknown = error instanceof UserError && error.id === USER_ERROR.expression;
    if (unknown && typed !== undefined)
      throw new UserError(USER_ERROR.expression, typed.message, { cause: typed });
    throw error;
  }
}

/**
 * Registers and integers alone are addresses and bits, not numbers of some C type: they are shown in hex, with their symbol. Whatever the
 * program has with the name of a register is the program's; `$sp` is always the register.
 */
async function namesProgram(state: SessionState, text: string, shown: ShownFrame): Promise<boolean> {
  // Products and masks are arithmetic; `(u32*)` is not.
  if (/[^\w\s$()*+&-]/.test(text) || /[\w)]\s*(?:&|\*(?!\s*\)))/.test(text)) return true;
  if (FRACTION.test(text) || SUFFIXED.test(text)) return true;
  const names = (text.match(/[$\w]+/g) ?? []).filter((it) => !/^[\d$]/.test(it));
  if (!names.every((it) => registerAlias(it.toLowerCase()) !== undefined)) return true;
  const explained = names.length === 0 ? undefined : await explain(state, shown);
  if (explained === undefined) return false;
  for (const name of new Set(names))
    if (await explained.image.knows(name, explained.context, shown.inlineDepth)) return true;
  return false;
}

/** For value fields and addresses: the number an expression comes to. */
export async function evaluateNumber(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
): Promise<bigint> {
  return (await evaluateExpression(text, await environment(state, shown))).value;
}

async function environment(
  state: SessionState,
  shown: ShownFrame | undefined,
): Promise<ExpressionEnvironment> {
  const target = state.requireTarget();
  const cpu = shown?.cpu ?? state.currentCpu;
  // While the VM runs there are no registers; symbols and memory still answer.
  const registers = target.state === 'paused' ? await target.readRegisters(cpu) : undefined;
  const callerFrame = shown !== undefined && shown.depth > 0 ? await frameNow(state, shown) : undefined;
  return {
    language: shown === undefined ? 'c' : await languageOf(state, shown),
    wordBytes: registers === undefined ? 8 : codeBits(registers.mode) / 8,
    register: (name) =>
      registerAlias(name) === undefined ? undefined : readRegister(name, registers, callerFrame),
    symbol: (name) => state.symbols.addressByName(name),
    read: async (address, lengthBytes) => {
      const { data, unreadableBytes } = await target.readMemory({ address, cpu }, lengthBytes);
      if (unreadableBytes > 0) throw new UserError(USER_ERROR.memory, `no memory at ${hex(address)}`);
      return data.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
    },
  };
}

async function languageOf(state: SessionState, shown: ShownFrame): Promise<Language> {
  const address = lookupAddress(await frameNow(state, shown));
  return (await state.viewOf(shown.cpu)).imageAt(address)?.languageAt(address) ?? 'c';
}

function readRegister(
  name: string,
  registers: CpuRegisters | undefined,
  caller: { readonly registers: ReadonlyMap<string, bigint> } | undefined,
): bigint {
  const alias = registerAlias(name);
  if (registers === undefined)
    throw new UserError(USER_ERROR.vmRunning, `the VM is running: pause it to see ${name}`);
  if (alias === undefined) throw new UserError(USER_ERROR.expression, `no register ${name}`);
  const system = /^(cr|efer|fs_|gs_|gdt|idt)/.test(alias.key);
  const isCallers = caller !== undefined && !system && topFrame(registers).registers.has(alias.key);
  const value = isCallers ? caller.registers.get(alias.key) : registerValue(registers, alias.key);
  if (value === undefined)
    throw new UserError(USER_ERROR.expression, `${name} was not saved by the functions called from here`);
  return BigInt.asUintN(alias.widthBits, value >> BigInt(alias.shift));
}

/** `$rax = 1`, `p->x += 2`, `*(u32*)0x1000 = 5`: in the console only, a watch must not change what it watches. */
async function assign(
  state: SessionState,
  text: string,
  shown: ShownFrame | undefined,
): Promise<EvaluateBody | undefined> {
  const [, before, after] = ASSIGNMENT.exec(text) ?? [];
  const [left, right] = [before?.trim() ?? '', after?.trim() ?? ''];
  // Registers alone are set as the CPU sets them, and shown in hex.
  const isRegister =
    /^\$?\w+$/.test(left) && registerAlias(left.replace('$', '').toLowerCase()) !== undefined;
  let mistake: unknown;
  if (shown !== undefined && (left === '' || !isRegister || (await namesProgram(state, left, shown)))) {
    try {
      const written = await assignTyped(state, text, shown);
      if (written !== undefined) return await shownResult(state, written, shown);
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      mistake = error;
    }
  }
  if (before === undefined || after === undefined) return undefined;
  try {
    return await assignPlain(state, left, right, shown);
  } catch (error) {
    const unknown = error instanceof UserError && error.id === USER_ERROR.expression;
    if (
      unknown &&
      mistake instanceof QueryError &&
      !/^no symbol|^a constant|not allowed/.test(mistake.message)
    )
      throw new UserError(USER_ERROR.expression, mistake.message, { cause: mistake });
    throw error;
  }
}

async function shownResult(state: SessionState, value: Value, shown: ShownFrame): Promise<EvaluateBody> {
  const { value: result, ...rest } = await showValue(state, value, shown);
  return { result, ...rest };
}

async function assignPlain(
  state: SessionState,
  left: string,
  right: string,
  shown: ShownFrame | undefined,
): Promise<EvaluateBody> {
  const target = state.requireTarget();
  const cpu = shown?.cpu ?? state.currentCpu;
  const value = await evaluateNumber(state, right, shown);
  const isSymbol = state.symbols.addressByName(left) !== undefined;
  const alias = isSymbol ? undefined : registerAlias(left.replace(/^\$/, '').toLowerCase());
  if (alias !== undefined) {
    if (shown !== undefined && shown.depth > 0)
      throw new UserError(
        USER_ERROR.badValue,
        'it lives in a register of a calling function, which cannot be set',
      );
    const before = registerValue(await target.readRegisters(cpu), alias.key);
    const mask = ((1n << BigInt(alias.widthBits)) - 1n) << BigInt(alias.shift);
    const bits = (BigInt.asUintN(alias.widthBits, value) << BigInt(alias.shift)) & mask;
    // As the CPU does: writing the low half of a register clears the high one.
    const kept = alias.widthBits === 32 ? 0n : before & ~mask;
    await target.writeRegisters(cpu, { [alias.key]: kept | bits });
    registersChanged(state, cpu, [alias.key]);
    return describe(await state.viewOf(cpu), await evaluateExpression(left, await environment(state, shown)));
  }
  const place = await evaluateExpression(left, await environment(state, shown));
  if (place.address === undefined || place.lengthBytes === undefined) {
    throw new UserError(
      USER_ERROR.expression,
      `cannot assign to "${left}": write a register or memory such as *(u32*)0x1000`,
    );
  }
  const data = Buffer.alloc(8);
  data.writeBigUInt64LE(BigInt.asUintN(64, value));
  await target.writeMemory({ address: place.address, cpu }, data.subarray(0, place.lengthBytes));
  memoryChanged(state, hex(place.address), 0, place.lengthBytes);
  return describe(await state.viewOf(cpu), {
    ...place,
    value: BigInt.asUintN(place.lengthBytes * 8, value),
  });
}

/** `0x100120 <kmain+0x20>`, or `0x2a (42)` for what is no address. */
function describe(view: AddressView, result: ExpressionValue): EvaluateBody {
  const { value } = result;
  const symbol = value < 0x1000n ? undefined : view.describe(value);
  const note = symbol === undefined ? `(${result.signed ?? value})` : `<${symbol}>`;
  const reference = result.address ?? value;
  return { ...plain(`${hex(value)} ${note}`), memoryReference: hex(reference) };
}

function plain(result: string): EvaluateBody {
  return { result, variablesReference: 0 };
}
