/**
 * From a file to a machine that is ready to run: the image is in RAM with all that it and its protocol expect
 * there, and vCPU 0 knows what to start with. Called by machine.ts on the main thread, before any vCPU runs
 * and again after a reset. Knows nothing of KVM.
 */
import { BootArea } from '../boot/bootArea.ts';
import type { BootRequest } from '../boot/bootRequest.ts';
import type { BootState } from '../boot/bootState.ts';
import { locateKernel } from '../boot/locateKernel.ts';
import type { Board } from '../firmware/contribution.ts';
import { e820Map } from '../firmware/e820.ts';
import { withKernelParameters } from '../firmware/kernelParameters.ts';
import { writeFirmwareTables } from '../firmware/firmwareTables.ts';

export interface KernelRequest extends BootRequest {
  readonly board: Board;
}

/**
 * Throws BootError for whatever is wrong with the files or the command line. Errors of reading them pass
 * through.
 */
export function loadKernel(request: KernelRequest): BootState {
  const { kernel, memory, board } = request;
  const cmdline = withKernelParameters(request.cmdline, board);
  const located = locateKernel({ ...request, cmdline });
  const area = new BootArea(kernel.name, located.busy);
  const rsdp = writeFirmwareTables(memory, area, board); // before the image, which may lie over the BIOS data
  return located.load({ area, rsdp, memoryMap: e820Map(memory.slots, board) });
}
