/** QEMU's own tools for images, as the judge of ours. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

export interface ToolResult {
  readonly status: number | null;
  readonly output: string;
}

export function qemuImg(...args: string[]): ToolResult {
  return run('qemu-img', args);
}

export function qemuIo(...args: string[]): ToolResult {
  return run('qemu-io', args);
}

/** Throws with the tool's output when it fails. */
export function mustQemuImg(...args: string[]): string {
  const { status, output } = qemuImg(...args);
  assert.equal(status, 0, `qemu-img ${args.join(' ')}: ${output}`);
  return output;
}

/** By the codes of `qemu-img check`: 0 nothing is wrong, 2 errors, 3 leaks. */
export function qemuCheck(path: string): ToolResult {
  return qemuImg('check', '-f', 'qcow2', path);
}

export function assertSameDisk(image: string, format: string, raw: string): void {
  mustQemuImg('compare', '-f', format, '-F', 'raw', image, raw);
}

function run(tool: string, args: readonly string[]): ToolResult {
  const { status, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}`.trim() };
}
