/** A runtime directory without other tests' VMs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';

/** Sets XDG_RUNTIME_DIR for the test, and returns it. */
export function ownRuntimeDir(t: TestContext): string {
  const base = mkdtempSync(path.join(tmpdir(), 'tf-'));
  const before = process.env['XDG_RUNTIME_DIR'];
  process.env['XDG_RUNTIME_DIR'] = base;
  t.after(() => {
    if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
    else process.env['XDG_RUNTIME_DIR'] = before;
    rmSync(base, { recursive: true, force: true });
  });
  return base;
}
