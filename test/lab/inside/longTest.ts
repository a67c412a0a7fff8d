/**
 * Tests that take too long for `npm test`, for what the others of their file show already in the main:
 * `npm run test:soak -- lab-long` runs them, too.
 */
import { it, type TestContext } from 'node:test';

export function longTest(title: string, body: (t: TestContext) => Promise<void>): void {
  if (process.env['LAB_LONG'] === '1') it(title, body);
}

/** virtio.lab shows a device on either bus in `npm test`; other devices, which know nothing of it, on one. */
export function testOver(bus: string): typeof longTest {
  return bus === 'pci' ? (title, body) => void it(title, body) : longTest;
}
