/**
 * Writes the words of vm.conf that OpenBSD's vmd does not know into the grammar that colours it: `npm run
 * generate`. A test checks that running it changes nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { BLOCKS } from '../vmm-core/config/directive.ts';
import { directive, directivesOf } from '../vmm-core/vmConf/directives.ts';
import { ROOT } from './bundle.ts';

export const GRAMMAR = path.join(ROOT, 'syntaxes/vmconf.tmLanguage.json');

/**
 * Matches the file's text, where the words are at the beginning of a line and end before a blank or a mark.
 */
const EXTENSION_WORDS = /("match": "\^\\\\s\*\()[^)]*(\)\(\?!\[\^\\\\s\{\}\(\),=!#\]\)",)/;

/** The grammar as it should be. */
export function withExtensionWords(grammar: string): string {
  if (!EXTENSION_WORDS.test(grammar)) throw new Error(`${GRAMMAR} has no place for the words of extensions`);
  return grammar.replace(EXTENSION_WORDS, (_, before: string, after: string) => {
    return `${before}${extensionWords().join('|')}${after}`;
  });
}

/** Debugging settings that are a single word (`exit`, `wait`) are left out: they are everyday words. */
function extensionWords(): string[] {
  const found = BLOCKS.flatMap((it) => directivesOf(it)).flatMap((id) => {
    const { isExtension, block, args = [], words } = directive(id);
    return isExtension && (block !== 'debug' || args.length > 0) ? words.slice(0, 1) : [];
  });
  return [...new Set(found)];
}

if (process.argv[1] === import.meta.filename)
  writeFileSync(GRAMMAR, withExtensionWords(readFileSync(GRAMMAR, 'utf8')));
