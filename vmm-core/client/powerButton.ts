/** The guest is asked to shut down. */
import { ErrorCode } from '../protocol/errors.ts';
import { powerButton } from '../protocol/vm.ts';
import type { VmmClient } from './vmmClient.ts';

/** Undefined, or why the guest cannot be asked. Rejects when the VM does not answer. */
export async function pressPowerButton({ connection, info }: VmmClient): Promise<string | undefined> {
  if (info.state === 'paused') return 'the VM is paused, so its guest can do nothing';
  try {
    await connection.sendRequest(powerButton);
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === ErrorCode.State) return error.message;
    throw error;
  }
}
