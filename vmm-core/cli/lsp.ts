/** `vmm lsp`: the language server of vm.conf on standard input and output, for any editor. It is a bundle of its own beside ours. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { fail } from './arguments.ts';

const USAGE = `usage: vmm lsp [--stdio]

Serves the Language Server Protocol for vm.conf files on standard input and output.
`;

export async function lsp(argv: readonly string[]): Promise<number> {
  const unknown = argv.find((it) => it !== '--stdio' && it !== '--help' && it !== '-h');
  if (unknown !== undefined)
    return fail(`${unknown} is not an option of lsp; it always uses standard input and output`);
  if (argv.some((it) => it !== '--stdio')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const server = path.join(import.meta.dirname, 'language-server.js');
  if (!existsSync(server))
    return fail(`${server} is missing: install Trapframe again, or run "npm run build" in its sources`);
  await import(pathToFileURL(server).href);
  return new Promise(() => undefined); // the server ends the process when the editor says so
}
