/**
 * What the tests know about samples/hello. Lines are found by their text, so that the sample may change
 * around them.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './root.ts';

export const HELLO_FOLDER = path.join(ROOT, 'samples/hello');

const MAIN_C = readFileSync(path.join(HELLO_FOLDER, 'src/main.c'), 'utf8').split('\n');

function lineOf(text: string): number {
  const index = MAIN_C.findIndex((it) => it.includes(text));
  if (index < 0) throw new Error(`samples/hello/src/main.c has no line with "${text}"`);
  return index + 1;
}

export const HELLO = {
  kernel: path.join(HELLO_FOLDER, 'hello.elf'),
  file: path.join(HELLO_FOLDER, 'src/main.c'),
  /** In on_key; the line after it is code too. */
  breakpointLine: lineOf('statistics->keys++;'),
  greeting: 'Press h for help.',
  statusKey: 's',
  statusAnswer: /up \d+ s, \d+ ticks, [1-9]\d* keys/,
  powerOffKey: 'q',
  pageFaultKey: 'p',
  pageFaultAnswer: /wrote 1 to 0x/,
} as const;
