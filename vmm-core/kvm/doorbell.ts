/** KVM_IOEVENTFD: a guest's write to an address signals an eventfd. Any thread that knows the VM's fd. */
import {
  KVM_IOEVENTFD,
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO,
  KvmIoeventfd,
} from '../abi/kvm.ts';
import type { DoorbellPlace, DoorbellWire } from '../bus/doorbell.ts';
import { signalEventFd, tryIoctlStruct } from './libc.ts';

/** By their place among `eventFds`. */
export function kvmDoorbells(vmFd: number, eventFds: readonly number[]): (index: number) => DoorbellWire {
  const doorbells = eventFds.map((fd) => kvmDoorbell(vmFd, fd));
  return (index) => {
    const doorbell = doorbells[index];
    if (doorbell === undefined) throw new RangeError(`no doorbell ${index}`);
    return doorbell;
  };
}

function kvmDoorbell(vmFd: number, eventFd: number): DoorbellWire {
  const ioeventfd = (at: DoorbellPlace, flags: number): boolean =>
    tryIoctlStruct(vmFd, KVM_IOEVENTFD, argument(at, eventFd, flags)) >= 0;
  return {
    ring: () => signalEventFd(eventFd),
    connect: (at) => ioeventfd(at, 0),
    disconnect: (at) => void ioeventfd(at, KVM_IOEVENTFD_FLAG_DEASSIGN),
  };
}

function argument({ kind, address, sizeBytes, value }: DoorbellPlace, fd: number, flags: number): Uint8Array {
  const port = kind === 'port' ? KVM_IOEVENTFD_FLAG_PIO : 0;
  const match = value === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH;
  return KvmIoeventfd.bytes({
    datamatch: BigInt(value ?? 0),
    addr: BigInt(address),
    len: sizeBytes,
    fd,
    flags: flags | port | match,
  });
}
