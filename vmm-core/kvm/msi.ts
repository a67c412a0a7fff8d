/**
 * Messages as a PCI function sends them. KVM_SIGNAL_MSI delivers one without a routing table: a guest may
 * change a vector's address and data as often as it likes, and sending costs what a write to an irqfd does.
 */
import { KVM_SIGNAL_MSI, KvmMsi } from '../abi/kvm.ts';
import type { MsiSender } from '../bus/msiSender.ts';
import { tryIoctlStruct } from './libc.ts';

/** Any thread that knows the VM's fd. */
export function kvmMsi(vmFd: number): MsiSender {
  const message = KvmMsi.bytes({});
  const view = new DataView(message.buffer);
  const { address_lo, address_hi, data: dataField } = KvmMsi.fields;
  return {
    send(addressLow, addressHigh, data) {
      view.setUint32(address_lo.offset, addressLow, true);
      view.setUint32(address_hi.offset, addressHigh, true);
      view.setUint32(dataField.offset, data, true);
      tryIoctlStruct(vmFd, KVM_SIGNAL_MSI, message);
    },
  };
}
