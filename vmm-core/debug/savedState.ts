/** What KVM keeps of a stopped vCPU and of its chips, by the names of headers and manuals. Main thread. */
import { chipStateValues } from '../kvm/chipStateValues.ts';
import type { VcpuState } from '../kvm/vcpuState.ts';
import { type StateValues, vcpuStateValues } from '../kvm/vcpuStateValues.ts';
import type { ChipState } from '../kvm/vm.ts';
import type { Decoded, DecodedValue } from '../protocol/devices.ts';
import { hex } from '../protocol/hex.ts';

export function savedVcpu(state: VcpuState): Decoded {
  return Object.fromEntries(
    Object.entries(vcpuStateValues(state)).map(([part, values]) => [part, decoded(values)]),
  );
}

/** PICs, IOAPIC and PIT; vCPUs may run. */
export function savedChips(state: ChipState): Decoded {
  return decoded(chipStateValues(state));
}

function decoded(values: StateValues): Decoded {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, decodedValue(value)]));
}

/** Numbers of up to 32 bits as such; bytes in the order of memory. */
function decodedValue(value: StateValues[string]): DecodedValue {
  if (typeof value === 'number' || typeof value === 'string') return value;
  if (typeof value === 'bigint') return hex(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : decoded(value);
}
