import { test } from 'node:test';
import { consoleRound, queueRound, registersRound } from '../../../test/support/virtioFuzz.ts';

const ROUNDS = 300;

test('a queue finds what the reference finds, up to the first rule that a driver breaks', () => {
  for (let seed = 0; seed < ROUNDS; seed++) queueRound(seed);
});

test('whatever is written to registers, nothing throws, and a driver that comes then is served', () => {
  for (let seed = 0; seed < ROUNDS; seed++) registersRound(seed);
});

test('all that is sent to the console is heard, and all that is typed arrives, in order', () => {
  for (let seed = 0; seed < ROUNDS; seed++) consoleRound(seed);
});
