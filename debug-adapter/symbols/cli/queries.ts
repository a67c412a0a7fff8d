/**
 * The queries of `vmm sym`: each line of text becomes one answer, as an object for --json and as lines for
 * people. docs/vmm-sym.md.
 */
import { QueryError } from '../base/queryError.ts';
import type { CodeLocation, FunctionLocation } from '../breakpoints/breakpointPlaces.ts';
import { NO_FRAME } from '../imageQueries.ts';
import type { InlineFrame, SymbolImage } from '../symbolImage.ts';
import { splitFormat } from '../values/expressionText.ts';

/** Values of --json: strings, numbers and lists of them; addresses are hex strings. */
export type Answer = { readonly query: string } & Readonly<Record<string, unknown>>;

export interface CliAnswer {
  readonly json: Answer;
  readonly text: string;
}

/** Never throws for what was asked: a mistake is an answer with `error`. */
export async function answer(image: SymbolImage, query: string): Promise<CliAnswer> {
  try {
    return await dispatch(image, query.trim());
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    const place = error.column === undefined ? '' : ` (column ${error.column})`;
    return failed(query.trim(), `${error.message}${place}`);
  }
}

/** Whether a line is a query by its form alone, rather than text that mentions addresses. */
export function looksLikeQuery(line: string): boolean {
  return /^\s*(?:(?:type|locals|unwind|expr|macro)\s+\S.*|0x[0-9a-fA-F]+|\/.+\/|[\w./+-]+\.\w+:\d+(?::\d+)?)\s*$/.test(
    line,
  );
}

export function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}

/** `vfs_read at fs/read_write.c:450`, then one line for each function it is inlined into. */
export function chainText(chain: readonly InlineFrame[]): string {
  return chain
    .map(({ function: name, file, line, column }, depth) => {
      const place = file === undefined ? '' : ` at ${file}:${line ?? 0}${column ? `:${column}` : ''}`;
      return depth === 0 ? `${name}${place}` : `  inlined into ${name}${place}`;
    })
    .join('\n');
}

async function dispatch(image: SymbolImage, query: string): Promise<CliAnswer> {
  const [, command, rest] = /^(type|locals|unwind|expr|macro)\s+(.+)$/s.exec(query) ?? [];
  switch (command) {
    case 'type':
      return describeType(image, query, rest ?? '');
    case 'locals':
      return describeLocals(image, query, parseAddress(rest ?? '', image));
    case 'unwind':
      return describeFrame(image, query, parseAddress(rest ?? '', image));
    case 'expr':
      return evaluate(image, query, rest ?? '');
    case 'macro':
      return describeMacro(image, query, rest ?? '');
    default:
  }
  if (/^0x[0-9a-fA-F]+$/.test(query)) return describeAddress(image, query, BigInt(query));
  const pattern = /^\/(.+)\/$/.exec(query)?.[1];
  if (pattern !== undefined) return matching(image, query, pattern);
  const place = /^(.+?):(\d+)(?::(\d+))?$/.exec(query);
  if (place?.[1] !== undefined) return describeLine(image, query, place[1], Number(place[2]), place[3]);
  return describeFunction(image, query);
}

function describeAddress(image: SymbolImage, query: string, address: bigint): CliAnswer {
  const chain = image.inlineChainAt(address);
  const symbol = image.symbolAt(address);
  const [inner, ...outer] = chain;
  if (inner === undefined && symbol === undefined)
    return failed(query, `no function or symbol at ${hex(address)}`);
  const row = image.lineAt(address);
  const symbolText = symbol === undefined ? '' : ` (${symbol.name}+0x${symbol.offset.toString(16)})`;
  return {
    json: {
      query,
      address: hex(address),
      function: inner?.function ?? null,
      file: row?.file ?? null,
      line: row?.line ?? null,
      column: row?.column ?? null,
      inlined: outer.map(({ function: name, file, line }) => ({
        function: name,
        file: file ?? null,
        line: line ?? null,
      })),
      symbol: symbol?.name ?? null,
      offset: symbol === undefined ? null : Number(symbol.offset),
    },
    text: `${hex(address)}${symbolText}${chain.length === 0 ? '' : `: ${chainText(chain)}`}`,
  };
}

async function describeLine(
  image: SymbolImage,
  query: string,
  file: string,
  line: number,
  column: string | undefined,
): Promise<CliAnswer> {
  const found = await image.sliced.addressesOf(file, line, column === undefined ? undefined : Number(column));
  if (found.length === 0) return failed(query, `no code at or after ${file}:${line}`);
  return {
    json: { query, locations: found.map((location) => ({ ...location, address: hex(location.address) })) },
    text: found.map(locationText).join('\n'),
  };
}

async function describeFunction(image: SymbolImage, query: string): Promise<CliAnswer> {
  const [, file, name = query] = /^([^:]+\.\w+):([^:].*)$/.exec(query) ?? [];
  let all = await image.sliced.functionByName(name);
  if (all.length === 0 && !image.isIndexed && image.symbolByName(name) === undefined) {
    await image.prepareIndex(); // only inlined, or in a namespace
    all = await image.sliced.functionByName(name);
  }
  const found = file === undefined ? all : all.filter((one) => one.file?.endsWith(file) === true);
  if (found.length === 0) {
    const symbol = image.symbolByName(name);
    if (symbol === undefined || file !== undefined)
      return failed(query, `no function or symbol named ${query}`);
    return {
      json: { query, symbol: name, address: hex(symbol.address), size: symbol.sizeBytes },
      text: `${name} at ${hex(symbol.address)}, ${symbol.sizeBytes} bytes`,
    };
  }
  return {
    json: {
      query,
      locations: found.map((one) => ({ ...one, address: hex(one.address), start: hex(one.start) })),
    },
    text: found.map(functionText).join('\n'),
  };
}

function matching(image: SymbolImage, query: string, pattern: string): CliAnswer {
  let expression: RegExp;
  try {
    expression = new RegExp(pattern);
  } catch {
    return failed(query, `not a regular expression: ${pattern}`);
  }
  const names = image.functionsMatching(expression);
  return {
    json: { query, functions: names },
    text: names.length === 0 ? `no function matches ${query}` : names.join('\n'),
  };
}

async function describeType(image: SymbolImage, query: string, name: string): Promise<CliAnswer> {
  const type = await image.describeType(name);
  return type === undefined ? failed(query, `no type named ${name}`) : { json: { query, type }, text: type };
}

/** `NAME`, or `NAME PLACE`: an address or a function. */
function describeMacro(image: SymbolImage, query: string, text: string): CliAnswer {
  const [name = '', place] = text.trim().split(/\s+/, 2);
  const macro = image.macro(name, place === undefined ? undefined : parseAddress(place, image));
  if (macro === undefined)
    return failed(query, `no macro named ${name}${place === undefined ? '' : ` at ${place}`}`);
  const { parameters = '', body, file, line } = macro;
  const where = file === undefined ? 'of the compiler or its command line' : `${file}:${line ?? 0}`;
  return {
    json: { query, ...macro },
    text: `#define ${name}${parameters} ${body}`.trimEnd() + `  (${where})`,
  };
}

function describeLocals(image: SymbolImage, query: string, address: bigint): CliAnswer {
  const locals = image.describeLocals(address);
  if (locals.length === 0) return failed(query, `no variables are known at ${hex(address)}`);
  return {
    json: {
      query,
      address: hex(address),
      locals: locals.map(({ isParameter, ...local }) => ({ ...local, parameter: isParameter })),
    },
    text: locals
      .map((local) => `${local.function}: ${local.name} (${local.type}): ${local.location}`)
      .join('\n'),
  };
}

function describeFrame(image: SymbolImage, query: string, address: bigint): CliAnswer {
  const frame = image.describeFrame(address);
  if (frame === undefined) return failed(query, `no call frame information at ${hex(address)}`);
  const registers = Object.entries(frame.registers).map(([name, rule]) => `${name} = ${rule}`);
  return {
    json: { query, address: hex(address), ...frame },
    text: [`cfa = ${frame.cfa}`, ...registers].join('\n'),
  };
}

async function evaluate(image: SymbolImage, query: string, text: string): Promise<CliAnswer> {
  const { expression, format } = splitFormat(text);
  const value = await image.evaluate(expression, NO_FRAME);
  const shown = await value.display(format);
  return { json: { query, type: value.typeName, value: shown }, text: `(${value.typeName}) ${shown}` };
}

function parseAddress(text: string, image: SymbolImage): bigint {
  if (/^0x[0-9a-fA-F]+$/.test(text)) return BigInt(text);
  const [, name, offset] = /^(.+?)(?:\+(0x[0-9a-fA-F]+|\d+))?$/.exec(text) ?? [];
  const start = image.functionByName(name ?? text)[0]?.start;
  if (start === undefined) throw new QueryError(`not an address or a function: ${text}`);
  return start + BigInt(offset ?? 0);
}

function locationText({ address, file, line, column, function: name }: CodeLocation): string {
  return `${hex(address)} ${file}:${line}${column === 0 ? '' : `:${column}`}${name === undefined ? '' : ` in ${name}`}`;
}

function functionText({ name, start, address, file, line }: FunctionLocation): string {
  const place = file === undefined ? '' : ` at ${file}:${line ?? 0}`;
  return `${hex(start)} ${name}${place}${address === start ? '' : `, after its prologue ${hex(address)}`}`;
}

function failed(query: string, error: string): CliAnswer {
  return { json: { query, error }, text: `${query}: ${error}` };
}
