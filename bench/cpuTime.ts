/** Processor time of a process that is measured. */
import { readFileSync } from 'node:fs';

/** Of /proc/PID/stat: _SC_CLK_TCK. */
const TICKS_PER_SECOND = 100;

/** All threads, user and system; 10 ms is the finest that is told. */
export function cpuSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
