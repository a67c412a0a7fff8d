/** One foreground `vmm run` inside L1. */
import path from 'node:path';
import { EmulatorLostError } from './emulatorLoss.ts';
import { GuestRun } from './guestRun.ts';
import { LAB_ROOT } from './labProtocol.ts';
import { guestState } from './lostGuest.ts';

export const VMM = path.join(LAB_ROOT, 'dist/vmm.js');

export class VmmRun extends GuestRun {
  constructor(args: readonly string[], environment?: Readonly<Record<string, string>>) {
    super(process.execPath, [VMM, 'run', ...args], environment);
  }

  /** Because the emulator lost the guest, or because of us. */
  protected override async explainLate(message: string): Promise<Error> {
    const { loss, text } = await guestState(this.pid);
    const error = this.error(`${message}\n--- its vCPUs ---\n${text}`);
    return loss === undefined ? error : new EmulatorLostError(`${loss}\n${error.message}`);
  }
}
