/**
 * How a test tells the test runner that something ran a second time: a diagnostic that begins with this
 * (scripts/testing/reporter.mjs).
 */
export const AGAIN_MARK = 'run again: ';
