/** Soaks that are commands of their own, repeated until the time is over. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { kvmUnavailable } from '../../scripts/testing/suites.ts';
import { crashOne, CUTS_PER_WORK } from '../support/crashCuts.ts';
import { killOne } from '../support/killedVmm.ts';
import type { Soak, SoakCount } from './soak.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const KVM_TESTS = path.join(ROOT, 'test/kvm');

export const runControl: Soak = {
  name: 'run-control',
  what: 'the tests of pausing, stepping and breakpoints on this /dev/kvm, again and again (after npm run build)',
  run: async (ms) => {
    const unavailable = kvmUnavailable();
    if (unavailable !== undefined) return unavailable;
    const files = readdirSync(KVM_TESTS).filter((it) =>
      /^(runControl|smp|breakpoints).*\.test\.ts$/.test(it),
    );
    return repeated(['--test', '--test-reporter=dot', ...files.map((it) => path.join(KVM_TESTS, it))], ms);
  },
};

export const fuzz: Soak = {
  name: 'fuzz',
  what: 'every fuzzer, with fresh seeds',
  run: async (ms) => {
    const output = await run([path.join(ROOT, 'test/fuzz/main.ts'), '--minutes', String(ms / 60_000)]);
    const rounds = [...output.text.matchAll(/: (\d+) rounds$/gm)].reduce((sum, it) => sum + Number(it[1]), 0);
    return { passed: rounds, lost: [], failures: output.code === 0 ? [] : [output.text] };
  },
};

const FLOODS = path.join(ROOT, 'vmm-core/backends/net/user/floods.test.ts');

export const floods: Soak = {
  name: 'floods',
  what: 'a guest of a user network that sends 10^6 SYNs, questions, fragments, broadcasts and ARP messages',
  run: async (ms) => {
    process.env['FLOOD_FRAMES'] = '1000000';
    return repeated(['--test', '--test-reporter=dot', FLOODS], ms);
  },
};

/** `npm test` has those before it. */
const FIRST_CRASH_SEED = 1000;
const LEAST_CUTS = 10_000;
const FIRST_KILL_SEED = 1000;

export const diskCrash: Soak = {
  name: 'disk-crash',
  what: 'qcow2 images of every kind that are cut anywhere: no errors, and all that was flushed; 10 000 cuts and more',
  run: async (ms) => {
    const end = performance.now() + ms;
    let passed = 0;
    for (let seed = FIRST_CRASH_SEED; passed < LEAST_CUTS || performance.now() < end; seed++) {
      try {
        crashOne(seed);
      } catch (error) {
        return { passed, lost: [], failures: [(error as Error).message] };
      }
      passed += CUTS_PER_WORK;
    }
    return { passed, lost: [], failures: [] };
  },
};

const LEAST_KILLS = 200;

export const kills: Soak = {
  name: 'kills',
  what: 'vmm killed while a guest writes to its disk, on this /dev/kvm; 200 times and more (after npm run build)',
  run: async (ms) => {
    const unavailable = kvmUnavailable();
    if (unavailable !== undefined) return unavailable;
    const end = performance.now() + ms;
    let passed = 0;
    for (let seed = FIRST_KILL_SEED; passed < LEAST_KILLS || performance.now() < end; seed++) {
      try {
        await killOne(seed);
      } catch (error) {
        return { passed, lost: [], failures: [`seed ${seed}: ${(error as Error).message}`] };
      }
      passed++;
    }
    return { passed, lost: [], failures: [] };
  },
};

/** A round is one run of the command. Ends early at a failure, whose output is what matters. */
async function repeated(args: readonly string[], ms: number): Promise<SoakCount> {
  const end = performance.now() + ms;
  let passed = 0;
  do {
    const { code, text } = await run(args);
    if (code !== 0) return { passed, lost: [], failures: [text] };
    passed++;
  } while (performance.now() < end);
  return { passed, lost: [], failures: [] };
}

function run(args: readonly string[]): Promise<{ readonly code: number | null; readonly text: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', ...args], { cwd: ROOT });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, text })));
}
