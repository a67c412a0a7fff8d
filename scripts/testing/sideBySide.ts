/** Runs jobs side by side, as many as the machine has processors for. Knows nothing of tests. */

export interface Job {
  /** How many processors it keeps busy. One that wants more than there are runs alone. */
  readonly cores: number;
  /** The job does not start earlier; a rejection is for the job itself to handle. */
  readonly ready: Promise<unknown>;
  readonly run: () => Promise<void>;
}

/**
 * Earlier jobs go first; a later one goes before an earlier one that is not ready or does not fit. Rejects
 * with what a job threw.
 */
export async function runSideBySide(jobs: readonly Job[], cores: number): Promise<void> {
  const readyJobs = new Set<Job>();
  const waiting = new Set(jobs);
  const running = new Map<Job, Promise<Job>>();
  const becomingReady = jobs.map((job) =>
    job.ready.catch(() => undefined).then(() => void readyJobs.add(job)),
  );
  while (waiting.size > 0 || running.size > 0) {
    await new Promise(setImmediate); // what is already ready has said so by then
    for (const job of waiting) {
      if (!readyJobs.has(job) || !fits(job, [...running.keys()], cores)) continue;
      waiting.delete(job);
      running.set(
        job,
        job.run().then(() => job),
      );
    }
    const changes = jobs.flatMap((job, index) => (readyJobs.has(job) ? [] : [becomingReady[index]]));
    const ended = await Promise.race([...running.values(), ...changes]);
    if (ended !== undefined) running.delete(ended);
  }
}

function fits(job: Job, running: readonly Job[], cores: number): boolean {
  const busy = running.reduce((sum, it) => sum + it.cores, 0);
  return running.length === 0 || busy + job.cores <= cores;
}
