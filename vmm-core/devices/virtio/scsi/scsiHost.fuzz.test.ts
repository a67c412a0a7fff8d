import { test } from 'node:test';
import { runRounds } from '../../../../test/fuzz/fuzzer.ts';
import { scsiRound } from '../../../../test/support/scsiFuzz.ts';

const ROUNDS = 60;

test('whatever commands come, the CD-ROM drive has an answer, and reads what is on the medium', async () => {
  await runRounds({ name: 'virtio-scsi', round: scsiRound }, { firstSeed: 0, rounds: ROUNDS });
});
