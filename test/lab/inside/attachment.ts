/** Files of L1 that the host's tools look at: a test attaches one, and the host makes a subtest of it. */
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { LabTestEvent } from './labProtocol.ts';

/** Begins a diagnostic that is none: all that a test can say to the reporter. */
const MARK = 'attachment';

/** `file`: of a few MiB at most, without spaces in its name. */
export function attach(t: TestContext, file: string): void {
  t.diagnostic([MARK, file, gzipSync(readFileSync(file)).toString('base64')].join(' '));
}

/** For the reporter: what `attach` says, and other diagnostics. */
export function diagnosticEvent(message: string): LabTestEvent {
  const [mark, file, data, ...rest] = message.split(' ');
  if (mark === MARK && file !== undefined && data !== undefined && rest.length === 0)
    return { type: 'attachment', file, data };
  return { type: 'diagnostic', message };
}
