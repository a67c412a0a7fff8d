/**
 * `vmm lsp`: the language server of vm.conf on standard input and output, for any editor. It is a bundle of
 * its own next to ours.
 */
import { pathToFileURL } from 'node:url';
import { standardOutput } from '../client/output.ts';
import { UserError } from '../errors.ts';
import { fail } from './arguments.ts';
import { siblingBundle } from './siblingBundle.ts';

const USAGE = `usage: vmm lsp [--stdio]

Serves the Language Server Protocol for vm.conf files on standard input and output.
`;

export async function lsp(argv: readonly string[]): Promise<number> {
  const unknown = argv.find((it) => it !== '--stdio' && it !== '--help' && it !== '-h');
  if (unknown !== undefined)
    return fail(`${unknown} is not an option of lsp; it always uses standard input and output`);
  if (argv.some((it) => it !== '--stdio')) {
    standardOutput.write(USAGE);
    return 0;
  }
  try {
    await import(pathToFileURL(siblingBundle('language-server.js')).href);
  } catch (error) {
    if (error instanceof UserError) return fail(error.message);
    throw error;
  }
  return new Promise(() => undefined); // the server ends the process when the editor asks for it
}
