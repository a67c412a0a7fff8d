/**
 * `npm run test:soak [-- NAME… --minutes 30]`: what takes too long for `npm test`, each for that time. One
 * line each: rounds passed, rounds the emulator lost, failures; then what was seen of those.
 */
import { parseArgs } from 'node:util';
import { diskCrash, floods, fuzz, kills, runControl } from './commands.ts';
import { labDisks, labKills } from './labDisks.ts';
import { labLong } from './labLong.ts';
import { labNetworks } from './labNetworks.ts';
import { labSmp } from './labSmp.ts';
import { labVsock } from './labVsock.ts';
import { countLine, type Soak } from './soak.ts';

const SOAKS: readonly Soak[] = [
  labSmp,
  labDisks,
  labKills,
  labLong,
  labVsock,
  labNetworks,
  runControl,
  kills,
  fuzz,
  floods,
  diskCrash,
];
const DEFAULT_MINUTES = '30';

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { minutes: { type: 'string', default: DEFAULT_MINUTES } },
  });
  const minutes = Number(values.minutes);
  const unknown = positionals.filter((it) => !SOAKS.some(({ name }) => name === it));
  if (unknown.length > 0 || !(minutes > 0)) {
    console.error('usage: npm run test:soak [-- NAME… --minutes M]');
    for (const { name, what } of SOAKS) console.error(`  ${name.padEnd(12)} ${what}`);
    return 1;
  }
  let failed = 0;
  for (const soak of SOAKS.filter((it) => positionals.length === 0 || positionals.includes(it.name))) {
    const count = await soak.run(minutes * 60_000);
    if (typeof count === 'string') {
      console.log(`${soak.name}: skipped: ${count}`);
      continue;
    }
    console.log(countLine(soak.name, count));
    for (const it of [...count.lost, ...count.failures]) console.log(it.replace(/^(?=.)/gm, '    '));
    failed += count.failures.length;
  }
  return failed === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

process.exitCode = 1; // in case the event loop runs dry before main is done
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
