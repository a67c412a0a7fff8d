/**
 * A core that waited has its VM. cli/serve.ts tells and start.ts hears it, which are in bundles of their own:
 * what those have in common is Node's list of channels.
 */
import { channel, subscribe } from 'node:diagnostics_channel';

const VM_CREATED = 'trapframe.vmCreated';

export function tellVmCreated(): void {
  channel(VM_CREATED).publish(undefined);
}

export function onVmCreated(listener: () => void): void {
  subscribe(VM_CREATED, listener);
}
