/**
 * Runs the test bundles inside L1 and sends what they report to the host. Started by l1Init.sh as L1's only
 * program; when it ends, L1 powers off.
 */
import { closeSync, openSync, readFileSync, readdirSync, writeSync } from 'node:fs';
import { release, uptime } from 'node:os';
import path from 'node:path';
import { JOB_FILE, type LabJob, type LabMessage, LAB_ROOT, PULSE_MS, RESULTS_PORT } from './labProtocol.ts';
import { runFile } from './runFile.ts';
import { traceShutdowns } from './shutdowns.ts';

async function main(): Promise<void> {
  const { bundles, fileTimeoutMs, ...options } = JSON.parse(readFileSync(JOB_FILE, 'utf8')) as LabJob;
  const port = openSync(resultsPort(), 'w');
  const send = (message: LabMessage): void => void writeSync(port, `${JSON.stringify(message)}\n`);
  try {
    traceShutdowns();
  } catch (error) {
    process.stderr.write(`lab: guests that triple fault cannot be looked at: ${(error as Error).message}\n`);
  }
  send({ type: 'ready', node: process.version, kernel: release(), uptimeSeconds: uptime() });
  const pulse = setInterval(() => send({ type: 'pulse' }), PULSE_MS);
  for (const bundle of bundles) {
    send({ type: 'fileStart', bundle });
    const problem = await runFile({
      bundle: path.join(LAB_ROOT, bundle),
      reporter: path.join(LAB_ROOT, 'test/lab/inside/reporter.mjs'),
      cwd: LAB_ROOT,
      timeoutMs: fileTimeoutMs,
      ...options,
      onEvent: (event) => send({ type: 'test', bundle, event }),
    });
    send({ type: 'fileEnd', bundle, ...(problem === undefined ? {} : { problem }) });
  }
  clearInterval(pulse);
  send({ type: 'done' });
  closeSync(port);
}

function resultsPort(): string {
  const ports = '/sys/class/virtio-ports';
  for (const device of readdirSync(ports)) {
    if (readFileSync(path.join(ports, device, 'name'), 'utf8').trim() === RESULTS_PORT)
      return `/dev/${device}`;
  }
  throw new Error(`no virtio-serial port is named ${RESULTS_PORT}`);
}

main().catch((error: unknown) => {
  process.stderr.write(`lab: the runner failed: ${(error as Error).stack}\n`);
  process.exitCode = 1;
});
