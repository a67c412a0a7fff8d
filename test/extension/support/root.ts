import path from 'node:path';

/** The repository. The suite's bundle, which is elsewhere, gets it from its environment. */
export const ROOT = process.env['TRAPFRAME_ROOT'] ?? path.join(import.meta.dirname, '../../..');
