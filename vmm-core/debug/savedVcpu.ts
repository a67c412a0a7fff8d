/** All that KVM keeps of a stopped vCPU, by the names of the headers and of the SDM. Main thread. */
import type { VcpuState } from '../kvm/vcpuState.ts';
import { type StateValues, vcpuStateValues } from '../kvm/vcpuStateValues.ts';
import type { Decoded, DecodedValue } from '../protocol/devices.ts';
import { hex } from '../protocol/hex.ts';

export function savedVcpu(state: VcpuState): Decoded {
  return Object.fromEntries(
    Object.entries(vcpuStateValues(state)).map(([part, values]) => [part, decoded(values)]),
  );
}

function decoded(values: StateValues): Decoded {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, decodedValue(value)]));
}

/** Numbers of up to 32 bits as such; bytes in the order of memory. */
function decodedValue(value: StateValues[string]): DecodedValue {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return hex(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : decoded(value);
}
