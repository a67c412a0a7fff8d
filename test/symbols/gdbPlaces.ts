/** The places of variables in gdb's words (`info scope`), in ours. */

/** Where each symbol of `info scope *ADDRESS` is at the address, in the order listed. */
export function gdbPlaces(text: string, address: bigint): { name: string; place: string }[] {
  const found: { name: string; place: string }[] = [];
  for (const part of text.split(/^Symbol /m).slice(1)) {
    const [, name, description] = /^(.*?) is (.*?)(?:, length \d+)?\.?\s*$/s.exec(part) ?? [];
    if (name !== undefined && description !== undefined)
      found.push({ name, place: placeAt(description, address) });
  }
  return found;
}

function placeAt(description: string, address: bigint): string {
  if (!description.startsWith('multi-location:')) return placeText(description);
  for (const entry of description.split(/^ {2}(?:Base address 0x[0-9a-f]+ {2})?Range /m).slice(1)) {
    const [, start, end, place] = /^(0x[0-9a-f]+)-(0x[0-9a-f]+): (.*)$/s.exec(entry) ?? [];
    if (start === undefined || end === undefined || place === undefined) continue;
    if (address >= BigInt(start) && address < BigInt(end)) return placeText(place);
  }
  return 'optimized out';
}

function placeText(text: string): string {
  const trimmed = text.trim();
  if (/-byte piece\]?$|bits\]$|-bit piece$/.test(trimmed)) return pieces(trimmed);
  const register = /^a variable in \$(\w+)$/.exec(trimmed)?.[1];
  if (register !== undefined) return `in $${register}`;
  const fixed = /^(?:in )?static storage at address (0x[0-9a-f]+)$/.exec(trimmed)?.[1];
  if (fixed !== undefined) return fixed;
  const [, base, offset] = /^a variable at frame base reg \$(\w+) offset (.+)$/.exec(trimmed) ?? [];
  if (base !== undefined && offset !== undefined) {
    const [, last] = /^-?\d+\+(-?\d+)$/.exec(offset) ?? [];
    return `frame base${signed(Number(last ?? offset))}`;
  }
  const constant = /^(?:the constant|a constant with value) (-?\d+)(?: \(0x[0-9a-f]+\))?$/.exec(trimmed)?.[1];
  if (constant !== undefined) return `constant ${constant}`;
  if (trimmed.startsWith('constant bytes')) return 'constant';
  if (trimmed === 'optimized out' || trimmed === 'optimized out.') return 'optimized out';
  if (trimmed.startsWith('a complex DWARF expression:')) {
    const found = operators(trimmed.split('\n').slice(1));
    const value = /^DW_OP_const\w+ (-?\d+)$/.exec(found[0] ?? '')?.[1];
    return value !== undefined && found.length === 2 && found[1] === 'DW_OP_stack_value'
      ? `constant ${value}`
      : found.join(', ');
  }
  return trimmed;
}

/** `a variable in $rax [4-byte piece], and an empty 4-byte piece` */
function pieces(text: string): string {
  return text
    .split(/, (?:and )?(?=an? |the |in )/)
    .map((piece) => {
      const empty = /^an empty (\d+)-byte piece$/.exec(piece)?.[1];
      if (empty !== undefined) return `DW_OP_piece ${empty}`;
      const emptyBits = /^an empty (\d+)-bit piece$/.exec(piece)?.[1];
      if (emptyBits !== undefined) return `DW_OP_bit_piece ${emptyBits} 0`;
      const [, whole, bits, at] = /^(.*) \[(\d+)-bit piece, offset (\d+) bits\]$/s.exec(piece) ?? [];
      if (whole !== undefined) return `${placeText(whole)}, DW_OP_bit_piece ${bits} ${at}`;
      const [, place, size] = /^(.*) \[(\d+)-byte piece\]$/s.exec(piece) ?? [];
      return place === undefined ? piece : `${placeText(place)}, DW_OP_piece ${size}`;
    })
    .join(', ');
}

/** Lines as `  12: DW_OP_bra 36`; operands of an entry value are further in. */
function operators(lines: readonly string[]): string[] {
  const found: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [, offset, name, operand] = /^\s*(\d+): DW_OP_([^\s<]+) ?(.*)?$/.exec(lines[at] as string) ?? [];
    if (offset === undefined || name === undefined) continue;
    if (name === 'entry_value' || name === 'GNU_entry_value') {
      const inner: string[] = [];
      const isInner = (line: string | undefined): line is string =>
        line !== undefined && /^ +(\d+)/.exec(line) !== null && indent(line) > indent(lines[at] as string);
      let next = at + 1;
      for (let line = lines[next]; isInner(line); line = lines[++next]) inner.push(line);
      found.push(`entry value of (${operators(inner).join(', ')})`);
      at = next - 1;
      continue;
    }
    found.push(operator(Number(offset), name, operand ?? ''));
  }
  return found;
}

/** Numbers are right-aligned before their colon: what counts is where they end. */
function indent(line: string): number {
  return line.indexOf(':');
}

function operator(offset: number, name: string, operand: string): string {
  const register = /\[\$(\w+)\]/.exec(operand)?.[1];
  if (/^reg(?:\d+|x)$/.test(name)) return `in $${register ?? '?'}`;
  if (/^breg\d+$/.test(name)) return `$${register ?? '?'}${signed(Number.parseInt(operand, 10))}`;
  if (name === 'fbreg') return `frame base${signed(Number(operand))}`;
  // gdb counts from the expression's start ("22: DW_OP_bra 31", "28: DW_OP_skip to 4"), the operand from the
  // next operator.
  if (name === 'bra' || name === 'skip')
    return `DW_OP_${name} ${Number(operand.replace('to ', '')) - offset - 3}`;
  if (name === 'addr' || name === 'addrx' || name === 'GNU_addr_index') return operand;
  if (name === 'GNU_parameter_ref') return `DW_OP_${name} 0x${operand.replace('offset ', '')}`;
  const [, die, at] = /^DIE ([0-9a-f]+) offset (-?\d+)$/.exec(operand) ?? [];
  if (die !== undefined) return `DW_OP_${name} 0x${die}${signed(Number(at))}`;
  const type = /^<(?:.* \[0x([0-9a-f]+)\]|0)>$/.exec(operand);
  const constant = /^<.* \[0x([0-9a-f]+)\]> \d+ byte block: (.*)$/.exec(operand);
  if (constant !== null)
    return `DW_OP_${name} ${Number.parseInt(constant[1] ?? '0', 16)} ${constant[2]?.trim()}`;
  if (type !== null) return `DW_OP_${name} ${Number.parseInt(type[1] ?? '0', 16)}`;
  return operand === '' ? `DW_OP_${name}` : `DW_OP_${name} ${operand}`;
}

function signed(value: number): string {
  return value < 0 ? ` - ${-value}` : value > 0 ? ` + ${value}` : '';
}
