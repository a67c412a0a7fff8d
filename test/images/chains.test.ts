import { it } from 'node:test';
import { chainRound } from '../support/chainRounds.ts';

const ROUNDS = 12;

for (let seed = 1; seed <= ROUNDS; seed++)
  it(`a chain of images, copied and committed, is the same for QEMU (seed ${seed})`, () => chainRound(seed));
