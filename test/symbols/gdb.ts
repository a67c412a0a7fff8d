/** Asks gdb (its Python interface, without a process) the questions that we answer ourselves. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingTool, run } from './compile.ts';

export interface GdbAnswer {
  /** Functions around the address, innermost first. */
  readonly functions: readonly string[];
  readonly file: string | null;
  readonly line: number;
}

/** Why gdb cannot be asked, if it cannot. */
export function gdbUnavailable(): string | undefined {
  const missing = missingTool('gdb');
  if (missing !== undefined) return missing;
  return run('gdb', ['-nx', '-batch', '-ex', 'python print(6*7)']).includes('42')
    ? undefined
    : 'gdb has no Python';
}

const PRELUDE = `import gdb, json
def emit(value): print("@@" + json.dumps(value))
`;

/** Runs a Python script inside gdb on `program`; every emit(value) of it comes back. */
export function askGdb<T>(program: string, directory: string, script: string): T[] {
  const file = join(directory, 'ask.py');
  writeFileSync(file, PRELUDE + script);
  const output = run('gdb', ['-nx', '-batch', '-ex', 'set debuginfod enabled off', '-x', file, program]);
  return output
    .split('\n')
    .filter((line) => line.startsWith('@@'))
    .map((line) => JSON.parse(line.slice(2)) as T);
}

export function gdbAddresses(program: string, directory: string, addresses: readonly bigint[]): GdbAnswer[] {
  return askGdb(
    program,
    directory,
    `
for address in [${addresses.join(',')}]:
    sal = gdb.find_pc_line(address)
    names = []
    block = gdb.block_for_pc(address)
    while block is not None and not block.is_static and not block.is_global:
        if block.function is not None:
            names.append(block.function.name)
            if not block.function.symtab or block.function.addr_class != gdb.SYMBOL_LOC_BLOCK: pass
        block = block.superblock
    emit({"functions": names, "file": sal.symtab.fullname() if sal.symtab else None, "line": sal.line})
`,
  );
}

export interface GdbBreakpoint {
  readonly address: string;
  readonly line: number;
}

/** The addresses \`break file:line\` would take. */
export function gdbBreakpoints(
  program: string,
  directory: string,
  places: readonly string[],
): GdbBreakpoint[][] {
  return askGdb(
    program,
    directory,
    `
gdb.execute("set breakpoint pending off")
for place in [${places.map((place) => JSON.stringify(place)).join(',')}]:
    try:
        gdb.execute("delete", to_string=True)
        gdb.execute("break " + place, to_string=True)
        import re
        text = gdb.execute("info breakpoints", to_string=True)
        found = re.findall(r"(0x[0-9a-f]+) (?:<[^>]*> ?)?in .* at [^\\n]*:(\\d+)", text)
        emit([{"address": hex(int(a, 16)), "line": int(l)} for a, l in found])
    except gdb.error:
        emit([])
`,
  );
}
