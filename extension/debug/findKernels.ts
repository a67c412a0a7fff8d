/** Kernel images in a workspace, for F5 without a launch.json and for the configurations VS Code offers by itself. */
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { isKernelImage, KERNEL_HEADER_BYTES } from './kernelImage.ts';

/** Where builds put kernels: by their names, by their extension, and in Cargo's folders for bare-metal targets. */
const CANDIDATES = [
  '**/vmlinux',
  '**/bzImage',
  '**/kernel',
  '**/kernel.bin',
  '**/*.elf',
  '**/target/*-none/debug/*',
  '**/target/*-none/release/*',
];
export const KERNEL_PATTERN = CANDIDATES.join(',');
const EXCLUDED = '{**/node_modules/**,**/.git/**,**/deps/**}';
const MAX_CANDIDATES = 200;

/** Paths within `folder`, newest first: what was built last is what one wants to boot. */
export async function findKernels(folder: vscode.WorkspaceFolder): Promise<string[]> {
  const pattern = new vscode.RelativePattern(folder, `{${KERNEL_PATTERN}}`);
  const files = await vscode.workspace.findFiles(pattern, EXCLUDED, MAX_CANDIDATES);
  const checked = await Promise.all(
    files.map(async ({ fsPath }) => ({ fsPath, builtMs: await kernelTime(fsPath) })),
  );
  return checked
    .filter((it) => it.builtMs !== undefined)
    .sort((a, b) => (b.builtMs ?? 0) - (a.builtMs ?? 0))
    .map((it) => path.relative(folder.uri.fsPath, it.fsPath));
}

/** When the image was built. Undefined when the file is no kernel or cannot be read. */
async function kernelTime(file: string): Promise<number | undefined> {
  try {
    return (await isKernel(file)) ? (await stat(file)).mtimeMs : undefined;
  } catch {
    return undefined; // deleted since it was found, or not ours to read: not a candidate
  }
}

async function isKernel(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(KERNEL_HEADER_BYTES),
      0,
      KERNEL_HEADER_BYTES,
      0,
    );
    return isKernelImage(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}
