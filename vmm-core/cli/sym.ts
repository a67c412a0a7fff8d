/** `vmm sym`: questions about the symbols of an ELF file. Answered by a bundle of its own (debug-adapter/symbols/main.ts). */
import { createRequire } from 'node:module';
import { UserError } from '../errors.ts';
import { fail } from './arguments.ts';
import { siblingBundle } from './siblingBundle.ts';

/** What dist/symbols.js exports. */
interface SymbolsBundle {
  readonly main: (argv: readonly string[]) => Promise<number>;
}

export async function sym(argv: readonly string[]): Promise<number> {
  try {
    const symbols = createRequire(import.meta.filename)(siblingBundle('symbols.js')) as SymbolsBundle;
    return await symbols.main(argv);
  } catch (error) {
    if (error instanceof UserError) return fail(error.message);
    throw error;
  }
}
