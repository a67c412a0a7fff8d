/**
 * Bundles next to dist/vmm.js that a command loads when called, so that no source import breaks the folders'
 * rules.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../errors.ts';

/** The path of `name` in dist/. Throws UserError when the installation lacks it. */
export function siblingBundle(name: string): string {
  const file = path.join(import.meta.dirname, name);
  if (existsSync(file)) return file;
  throw new UserError(`${file} is missing: install Trapframe again, or run "npm run build" in its sources`);
}
