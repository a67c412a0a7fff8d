import { test } from 'node:test';
import { diskRound } from '../../../../test/support/diskFuzz.ts';

const ROUNDS = 40;

test('what the guest was told is written is in the image, which stays sound, whatever the host refuses', () => {
  for (let seed = 0; seed < ROUNDS; seed++) diskRound(seed);
});
