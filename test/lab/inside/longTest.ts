/**
 * Tests that take too long for `npm test`, for what the others of their file show already in the main:
 * `npm run test:soak -- lab-long` runs them, too.
 */
import { it, type TestContext } from 'node:test';

export function longTest(title: string, body: (t: TestContext) => Promise<void>): void {
  if (process.env['LAB_LONG'] === '1') it(title, body);
}
