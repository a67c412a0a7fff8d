/** A type as gdb describes it compared with ours: every member's bits and type, and the printed form. */
import { basename } from 'node:path';
import type { SymbolImage } from '../../debug-adapter/symbols/symbolImage.ts';
import { describe } from '../../debug-adapter/symbols/types/typeDescription.ts';
import { type StructType, type Type, strip, typeName } from '../../debug-adapter/symbols/types/type.ts';
import { DisplayedValue } from '../../debug-adapter/symbols/values/displayedValue.ts';
import type { Agreement } from './agreement.ts';
import { canonicalName } from './gdbNames.ts';
import type { Showing } from './showing.ts';
import type { TypeAnswer } from './gdbQuestions.ts';

export async function compareType(
  image: SymbolImage,
  answer: TypeAnswer,
  group: Agreement,
  show: Showing,
): Promise<void> {
  const frame = {
    registers: new Map([['rip', BigInt(answer.address)]]),
    memory: { read: async () => undefined },
  };
  const variables = (await image.localsAt(frame)).filter(({ name }) => name === answer.variable);
  const types = variables.flatMap(({ value }) =>
    value instanceof DisplayedValue ? [target(value.target.type)] : [],
  );
  const type = types.find((it) => squeezed(typeName(it)) === squeezed(answer.type)) ?? types[0];
  const printed = type?.kind === 'enum' ? [] : printedLines(answer.printed); // one long line, unlike any of ours
  const theirs = [`size ${answer.size}`, ...members(answer.members), ...printed];
  const ours = type === undefined ? ['no such variable'] : described(type);
  const first = theirs.findIndex((line, index) => line !== ours[index]);
  if (first < 0 && ours.length === theirs.length) group.agree();
  else {
    const at = first < 0 ? theirs.length : first;
    group.differ(
      undefined,
      () =>
        `${basename(image.path)} ${answer.type} of ${answer.variable} at ${answer.address}: ${ours[at]}, gdb ${theirs[at]}`,
      [
        show.ours(() => `type ${answer.type}`),
        show.gdb(`list *${answer.address}`, `ptype /o ${answer.type}`),
      ],
    );
  }
}

function described(type: Type): string[] {
  if (type.kind === 'struct' && type.incomplete)
    return ['size 0', ...printedLines(`${typeName(type)} {\n<incomplete type>\n}`)];
  if (type.kind === 'enum') {
    const values = type.enumerators.map(({ name, value }) => squeezed(`${name} = ${value}`));
    return [`size ${type.sizeBytes}`, ...values];
  }
  if (type.kind !== 'struct') return [`not a structure: ${typeName(type)}`];
  return [
    `size ${type.sizeBytes}`,
    ...members(layout(type, 0)),
    ...printedLines(collapsed(describe(type, false))),
  ];
}

/**
 * Without the pointer to virtual functions: gdb takes functions with any parameters for functions with none.
 */
function members(lines: readonly string[]): string[] {
  return lines.filter((line) => !line.includes(' _vptr')).map(squeezed);
}

function layout(type: StructType, base: number): string[] {
  return type.members.flatMap((member) => {
    const bit = base + (member.bits?.offset ?? 8 * member.offsetBytes);
    const name = member.isBase ? '<base>' : (member.name ?? '');
    const line = `${bit}:${member.bits?.size ?? 0} ${name} ${typeName(member.type)}`;
    const inner = unqualified(member.type); // a typedef has a name
    return inner.kind === 'struct' && inner.name === undefined ? [line, ...layout(inner, bit)] : [line];
  });
}

/**
 * Lines without spacing and without the parts that only C++ has (methods, access, typedefs): members as they
 * are declared.
 */
function printedLines(text: string): string[] {
  const access = /\b(?:public|protected|private) /g;
  const lines = text
    .replace(/^type = /, '')
    .replaceAll(access, '')
    .split('\n');
  return lines.filter((line) => !isNoMember(line)).map(squeezed);
}

/**
 * What gdb's listing of a class has besides its data: access, functions, typedefs, the pointer to the virtual
 * functions.
 */
function isNoMember(line: string): boolean {
  const text = line.trim();
  if (text === '' || text === '<no data fields>' || /^(?:public|protected|private):$/.test(text)) return true;
  const isMethod = /\)(?: const)?;$/.test(text) && !text.includes('(*');
  return isMethod || text.startsWith('typedef ') || text.includes('_vptr');
}

/** gdb shows one level of anonymous members, and `{...}` for those inside. */
function collapsed(text: string): string {
  return text
    .replace(/^( {4}(?:\w+ )*(?:struct|union) )\{\n(?: {5,}.*\n)* {4}\}/gm, '$1{...}')
    .replace(/^( {4}(?:\w+ )*enum )\{.*\}/gm, '$1{...}');
}

function unqualified(type: Type): Type {
  let at = type;
  while (at.kind === 'qualified') at = at.target;
  return at;
}

function target(type: Type): Type {
  let at = strip(type);
  while (at.kind === 'pointer' || at.kind === 'array')
    at = strip(at.kind === 'pointer' ? at.target : at.element);
  return at;
}

function squeezed(text: string): string {
  return canonicalName(text).replaceAll(' ', '');
}
