/** Declares a test that boots guests: skipped, with the reason, where it cannot. */
import { test, type TestContext } from 'node:test';
import { kvmUnavailable } from './vmmProcess.ts';

export function kvmTest(title: string, body: (t: TestContext) => Promise<void>): void {
  test(title, async (t) => {
    const unavailable = kvmUnavailable();
    if (unavailable !== undefined) return t.skip(unavailable);
    await body(t);
  });
}
