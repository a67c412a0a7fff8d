/**
 * `vmm sym`: questions about the symbols of an ELF file. Answered by a separate bundle
 * (debug-adapter/symbols/cli/main.ts).
 */
import { createRequire } from 'node:module';
import { standardOutput } from '../client/output.ts';
import { UserError } from '../errors.ts';
import { fail } from './arguments.ts';
import { siblingBundle } from './siblingBundle.ts';

/** What dist/symbols.js exports. */
interface SymbolsBundle {
  readonly main: (argv: readonly string[]) => Promise<number>;
}

const USAGE = `usage: vmm sym FILE [--json] [--bias ADDRESS] [QUERY…]

  0xADDRESS            function, inlined functions and line
  FUNCTION             its addresses; also FILE:FUNCTION and /REGEX/
  FILE:LINE[:COLUMN]   addresses of a line
  type NAME            members and their offsets
  locals 0xADDRESS     variables and where they live
  unwind 0xADDRESS     how to find the caller
  expr EXPRESSION      constants, sizes, addresses
  macro NAME [PLACE]   its definition, at 0xADDRESS or FUNCTION

Without a query, lines come from standard input: queries, or any text, in which addresses and symbol+0x12/0x34 are explained.
`;

export async function sym(argv: readonly string[]): Promise<number> {
  if (argv[0] === '--help' || argv[0] === '-h') {
    standardOutput.write(USAGE);
    return 0;
  }
  try {
    const symbols = createRequire(import.meta.filename)(siblingBundle('symbols.js')) as SymbolsBundle;
    return await symbols.main(argv);
  } catch (error) {
    if (error instanceof UserError) return fail(error.message);
    throw error;
  }
}
