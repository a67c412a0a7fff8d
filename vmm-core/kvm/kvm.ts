/** /dev/kvm: the system file descriptor. Opening it answers most of "can this host run VMs". */
import { closeSync, constants, openSync } from 'node:fs';
import {
  KVM_API_VERSION,
  KVM_CHECK_EXTENSION,
  KVM_CREATE_VM,
  KVM_GET_API_VERSION,
  KVM_GET_MSR_INDEX_LIST,
  KVM_GET_SUPPORTED_CPUID,
  KVM_GET_VCPU_MMAP_SIZE,
  KvmCpuid2,
  KvmCpuidEntry2,
  KvmMsrList,
} from '../abi/kvm.ts';
import { KvmUnavailableError } from '../errors.ts';
import { ioctl, ioctlStruct, mustIoctl } from './libc.ts';
import { reserveRunPages } from './runPages.ts';
import { KvmVm } from './vm.ts';

/** The device; tests and unusual hosts name another in TRAPFRAME_KVM. */
export function kvmPath(): string {
  return process.env.TRAPFRAME_KVM ?? '/dev/kvm';
}

/** One CPUID leaf, the fields of struct kvm_cpuid_entry2. */
export interface CpuidEntry {
  function: number;
  index: number;
  flags: number;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

const MAX_CPUID_ENTRIES = 256;
const MAX_LISTED_MSRS = 1024;

export class Kvm {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens the device and checks the API version. Throws KvmUnavailableError. */
  static open(): Kvm {
    const kvm = new Kvm(openDevice(kvmPath()));
    const version = ioctl(kvm.#fd, KVM_GET_API_VERSION);
    if (version === KVM_API_VERSION) return kvm;
    kvm.close();
    if (version < 0)
      throw new KvmUnavailableError(
        'other',
        `${kvmPath()} is not the KVM device: name the right one in TRAPFRAME_KVM`,
      );
    throw new KvmUnavailableError(
      'version',
      `${kvmPath()} has KVM API version ${version}, Trapframe needs ${KVM_API_VERSION}: update the host's kernel`,
    );
  }

  /** 0 when absent, otherwise the value that the capability's documentation gives. */
  checkExtension(capability: number): number {
    return Math.max(0, ioctl(this.#fd, KVM_CHECK_EXTENSION, capability));
  }

  vcpuMmapSizeBytes(): number {
    return mustIoctl('KVM_GET_VCPU_MMAP_SIZE', this.#fd, KVM_GET_VCPU_MMAP_SIZE);
  }

  supportedCpuid(): CpuidEntry[] {
    const buffer = new Uint8Array(KvmCpuid2.size + MAX_CPUID_ENTRIES * KvmCpuidEntry2.size);
    const view = new DataView(buffer.buffer);
    KvmCpuid2.write(view, { nent: MAX_CPUID_ENTRIES });
    ioctlStruct('KVM_GET_SUPPORTED_CPUID', this.#fd, KVM_GET_SUPPORTED_CPUID, buffer);
    const { nent } = KvmCpuid2.read(view);
    return Array.from({ length: nent }, (_, i) =>
      KvmCpuidEntry2.read(view, KvmCpuid2.size + i * KvmCpuidEntry2.size),
    );
  }

  /** The MSRs that this host's vCPUs have, except the families that KVM does not list (msrs.ts). */
  msrIndices(): number[] {
    const indices = new Uint32Array(KvmMsrList.size / 4 + MAX_LISTED_MSRS);
    indices[0] = MAX_LISTED_MSRS; // nmsrs
    ioctlStruct('KVM_GET_MSR_INDEX_LIST', this.#fd, KVM_GET_MSR_INDEX_LIST, indices);
    return [...indices.subarray(1, 1 + indices[0])];
  }

  /** Throws UserError when this process may not reserve what the VM's vCPUs need. */
  createVm(): KvmVm {
    const runPages = reserveRunPages(this.vcpuMmapSizeBytes());
    return new KvmVm(mustIoctl('KVM_CREATE_VM', this.#fd, KVM_CREATE_VM), runPages);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function openDevice(path: string): number {
  try {
    return openSync(path, constants.O_RDWR);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') {
      throw new KvmUnavailableError(
        'missing',
        `${path} does not exist: enable virtualization (VT-x or AMD-V) in the firmware and load kvm_intel or kvm_amd (in a VM: enable nested virtualization)`,
        { cause },
      );
    }
    if (code === 'EACCES' || code === 'EPERM') {
      throw new KvmUnavailableError(
        'denied',
        `no permission to open ${path}: add yourself to its group with "sudo usermod -aG kvm $USER" and log in again`,
        { cause },
      );
    }
    throw new KvmUnavailableError('other', `cannot open ${path}: ${(cause as Error).message}`, { cause });
  }
}
