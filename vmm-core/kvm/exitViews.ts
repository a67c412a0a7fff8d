/**
 * What KVM_RUN returned with: the members of kvm_run's union, named as in <linux/kvm.h>. Each is valid only
 * while `exitReason` is its own, on the vCPU's thread. They are views, made once per vCPU, because reading an
 * exit must not allocate.
 */
import { KVM_EXIT_IO_OUT, KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES, KVM_RUN } from '../abi/kvm.ts';

/** The size of emulation_insn_bytes. */
const MAX_INSTRUCTION_BYTES = 15;
const MMIO_DATA_BYTES = 8;

/** KVM_EXIT_IO: `count` accesses to one port, consecutive in `bytes` from `dataOffset`. */
export class IoExit {
  /** All of kvm_run: the data is in a page after the struct. */
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(view: DataView, bytes: Uint8Array) {
    this.#view = view;
    this.bytes = bytes;
  }

  get isWrite(): boolean {
    return this.#view.getUint8(KVM_RUN.io_direction) === KVM_EXIT_IO_OUT;
  }
  get port(): number {
    return this.#view.getUint16(KVM_RUN.io_port, true);
  }
  get sizeBytes(): number {
    return this.#view.getUint8(KVM_RUN.io_size);
  }
  get count(): number {
    return this.#view.getUint32(KVM_RUN.io_count, true);
  }
  get dataOffset(): number {
    return this.#view.getUint32(KVM_RUN.io_data_offset, true);
  }
}

/** KVM_EXIT_MMIO: one access of at most 8 bytes, its data at the start of `data`. */
export class MmioExit {
  readonly data: Uint8Array;
  readonly #view: DataView;

  constructor(view: DataView, bytes: Uint8Array) {
    this.#view = view;
    this.data = bytes.subarray(KVM_RUN.mmio_data, KVM_RUN.mmio_data + MMIO_DATA_BYTES);
  }

  get isWrite(): boolean {
    return this.#view.getUint8(KVM_RUN.mmio_is_write) !== 0;
  }
  get address(): number {
    return Number(this.#view.getBigUint64(KVM_RUN.mmio_phys_addr, true));
  }
  get sizeBytes(): number {
    return this.#view.getUint32(KVM_RUN.mmio_len, true);
  }
}

/** KVM_EXIT_DEBUG: kvm_debug_exit_arch. */
export class DebugExit {
  readonly #view: DataView;

  constructor(view: DataView) {
    this.#view = view;
  }

  /** The vector: #DB or #BP. */
  get exception(): number {
    return this.#view.getUint32(KVM_RUN.debug_exception, true);
  }
  /** Linear. For #BP, the address of the int3 itself. */
  get pc(): bigint {
    return this.#view.getBigUint64(KVM_RUN.debug_pc, true);
  }
  get dr6(): bigint {
    return this.#view.getBigUint64(KVM_RUN.debug_dr6, true);
  }
}

/** KVM_EXIT_INTERNAL_ERROR, and what emulation_failure adds to it. */
export class InternalErrorExit {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(view: DataView, bytes: Uint8Array) {
    this.#view = view;
    this.#bytes = bytes;
  }

  get suberror(): number {
    return this.#view.getUint32(KVM_RUN.internal_suberror, true);
  }
  /** A copy of what KVM fetched of the instruction it cannot emulate; undefined if it does not tell. */
  get instruction(): Uint8Array | undefined {
    const flags = this.#view.getBigUint64(KVM_RUN.emulation_flags, true);
    const sizeBytes = this.#view.getUint8(KVM_RUN.emulation_insn_size);
    const isKnown = (flags & BigInt(KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) !== 0n;
    if (!isKnown || sizeBytes === 0) return undefined;
    const start = KVM_RUN.emulation_insn_bytes;
    return this.#bytes.slice(start, start + Math.min(sizeBytes, MAX_INSTRUCTION_BYTES));
  }
}

/** KVM_EXIT_FAIL_ENTRY. */
export class FailEntryExit {
  readonly #view: DataView;

  constructor(view: DataView) {
    this.#view = view;
  }

  get hardwareReason(): bigint {
    return this.#view.getBigUint64(KVM_RUN.fail_entry_hardware_entry_failure_reason, true);
  }
}

/** KVM_EXIT_SYSTEM_EVENT. */
export class SystemEventExit {
  readonly #view: DataView;

  constructor(view: DataView) {
    this.#view = view;
  }

  /** KVM_SYSTEM_EVENT_*. */
  get type(): number {
    return this.#view.getUint32(KVM_RUN.system_event_type, true);
  }
}
