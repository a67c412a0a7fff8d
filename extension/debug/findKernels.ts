/**
 * Kernel images in a workspace, for F5 without a launch.json and for the configurations VS Code offers on its
 * own.
 */
import path from 'node:path';
import * as vscode from 'vscode';
import { openRegularFileAsync } from '../../vmm-core/client/regularFile.ts';
import { isKernelImage, KERNEL_HEADER_BYTES } from './kernelImage.ts';

/**
 * Where builds put kernels: by their names, by their extension, and in Cargo's folders for bare-metal
 * targets.
 */
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

/** Paths within `folder`, newest first: what was built last is most likely to be booted. */
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

/** When the image was built. Undefined when the file is not a kernel or cannot be read. */
async function kernelTime(file: string): Promise<number | undefined> {
  try {
    const { handle, stat } = await openRegularFileAsync(file);
    try {
      const header = Buffer.alloc(KERNEL_HEADER_BYTES);
      const { bytesRead } = await handle.read(header, 0, header.length, 0);
      return isKernelImage(header.subarray(0, bytesRead)) ? stat.mtimeMs : undefined;
    } finally {
      await handle.close();
    }
  } catch {
    return undefined; // deleted since it was found, or unreadable: not a candidate
  }
}
