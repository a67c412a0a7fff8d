/**
 * A VM's file descriptor: memory slots, the in-kernel interrupt controllers and timer, vCPU creation. Usable
 * from any thread through its fd.
 */
import { closeSync } from 'node:fs';
import {
  KVM_CREATE_IRQCHIP,
  KVM_CREATE_PIT2,
  KVM_CREATE_VCPU,
  KVM_GET_CLOCK,
  KVM_GET_IRQCHIP,
  KVM_GET_PIT2,
  KVM_IRQCHIP_IOAPIC,
  KVM_IRQCHIP_PIC_MASTER,
  KVM_IRQCHIP_PIC_SLAVE,
  KVM_IRQ_LINE,
  KVM_PIT_SPEAKER_DUMMY,
  KVM_SET_CLOCK,
  KVM_SET_IDENTITY_MAP_ADDR,
  KVM_SET_IRQCHIP,
  KVM_SET_PIT2,
  KVM_SET_TSS_ADDR,
  KVM_SET_USER_MEMORY_REGION,
  KvmClockData,
  KvmIrqLevel,
  KvmIrqchip,
  KvmPitConfig,
  KvmPitState2,
  KvmUserspaceMemoryRegion,
} from '../abi/kvm.ts';
import type { IrqLine } from '../bus/irqLine.ts';
import type { GuestMemory } from '../memory/guestMemory.ts';
import { addressOf, discard, ioctlStruct, mustIoctl } from './libc.ts';
import { mapRunPage, type RunPages } from './runPages.ts';

/** The state of PIC, IOAPIC and PIT as the kernel gives it; opaque, for reset. */
export interface ChipState {
  readonly irqchips: readonly Uint8Array[];
  readonly pit: Uint8Array;
}

/** What a vCPU worker needs to open the same vCPU in its thread. */
export interface VcpuHandle {
  readonly index: number;
  readonly fd: number;
  /** Of the VM. */
  readonly runPages: RunPages;
}

export class KvmVm {
  readonly fd: number;
  readonly runPages: RunPages;

  constructor(fd: number, runPages: RunPages) {
    this.fd = fd;
    this.runPages = runPages;
  }

  /**
   * PIC, IOAPIC, LAPICs and PIT in the kernel. Before any vCPU. The two addresses are Intel's real-mode
   * scratch (api.rst).
   */
  createChips(tssAddress: number, identityMapAddress: number): void {
    mustIoctl('KVM_SET_TSS_ADDR', this.fd, KVM_SET_TSS_ADDR, tssAddress);
    ioctlStruct(
      'KVM_SET_IDENTITY_MAP_ADDR',
      this.fd,
      KVM_SET_IDENTITY_MAP_ADDR,
      new BigUint64Array([BigInt(identityMapAddress)]),
    );
    mustIoctl('KVM_CREATE_IRQCHIP', this.fd, KVM_CREATE_IRQCHIP);
    ioctlStruct(
      'KVM_CREATE_PIT2',
      this.fd,
      KVM_CREATE_PIT2,
      KvmPitConfig.bytes({ flags: KVM_PIT_SPEAKER_DUMMY }),
    );
  }

  /**
   * Makes every slot of `memory` guest RAM. Safety: KVM keeps the host addresses for the VM's life; the
   * caller keeps `memory` alive as long as this object.
   */
  setMemory(memory: GuestMemory): void {
    memory.slots.forEach((slot, index) => {
      const region = KvmUserspaceMemoryRegion.bytes({
        slot: index,
        guest_phys_addr: BigInt(slot.base),
        memory_size: BigInt(slot.sizeBytes),
        userspace_addr: addressOf(slot.bytes),
      });
      ioctlStruct('KVM_SET_USER_MEMORY_REGION', this.fd, KVM_SET_USER_MEMORY_REGION, region);
    });
  }

  /** All RAM reads as zero afterwards; the host gets the pages back. vCPUs must be stopped. */
  zeroMemory(memory: GuestMemory): void {
    for (const slot of memory.slots) discard(slot.bytes);
  }

  createVcpu(index: number): VcpuHandle {
    const fd = mustIoctl('KVM_CREATE_VCPU', this.fd, KVM_CREATE_VCPU, index);
    mapRunPage(this.runPages, index, fd);
    return { index, fd, runPages: this.runPages };
  }

  /** As firmware leaves the PICs: these of their interrupts are levels, the others edges. */
  setLevelTriggered(irqs: readonly number[]): void {
    [KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE].forEach((chip_id, index) => {
      const own = irqs.filter((irq) => irq >> 3 === index);
      const chip = this.#readChip(chip_id);
      const pic_elcr = own.reduce((bits, irq) => bits | (1 << (irq & 7)), 0);
      KvmIrqchip.write(new DataView(chip.buffer), { pic_elcr });
      ioctlStruct('KVM_SET_IRQCHIP', this.fd, KVM_SET_IRQCHIP, chip);
    });
  }

  saveChips(): ChipState {
    const irqchips = [KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_IRQCHIP_IOAPIC].map((it) =>
      this.#readChip(it),
    );
    const pit = KvmPitState2.bytes({});
    ioctlStruct('KVM_GET_PIT2', this.fd, KVM_GET_PIT2, pit);
    return { irqchips, pit };
  }

  restoreChips(state: ChipState): void {
    for (const chip of state.irqchips) ioctlStruct('KVM_SET_IRQCHIP', this.fd, KVM_SET_IRQCHIP, chip);
    ioctlStruct('KVM_SET_PIT2', this.fd, KVM_SET_PIT2, state.pit);
  }

  /** kvmclock, in nanoseconds; set back after a long stop so that the guest's watchdogs stay quiet. */
  readClock(): bigint {
    const data = KvmClockData.bytes({});
    ioctlStruct('KVM_GET_CLOCK', this.fd, KVM_GET_CLOCK, data);
    return KvmClockData.read(new DataView(data.buffer)).clock;
  }
  writeClock(clock: bigint): void {
    ioctlStruct('KVM_SET_CLOCK', this.fd, KVM_SET_CLOCK, KvmClockData.bytes({ clock }));
  }

  close(): void {
    closeSync(this.fd);
  }

  #readChip(chip_id: number): Uint8Array {
    const chip = KvmIrqchip.bytes({ chip_id });
    ioctlStruct('KVM_GET_IRQCHIP', this.fd, KVM_GET_IRQCHIP, chip);
    return chip;
  }
}

/** An input pin of PIC and IOAPIC. Any thread that knows the VM's fd may drive it. */
export function kvmIrqLine(vmFd: number, gsi: number): IrqLine {
  const levels = [false, true].map((on) => KvmIrqLevel.bytes({ irq: gsi, level: on ? 1 : 0 }));
  return {
    set(asserted) {
      const level = levels[asserted ? 1 : 0];
      if (level) ioctlStruct('KVM_IRQ_LINE', vmFd, KVM_IRQ_LINE, level);
    },
  };
}
