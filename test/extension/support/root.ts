import path from 'node:path';

/** The repository. The suite's bundle, which lies elsewhere, is told by its environment. */
export const ROOT = process.env['TRAPFRAME_ROOT'] ?? path.join(import.meta.dirname, '../../..');
