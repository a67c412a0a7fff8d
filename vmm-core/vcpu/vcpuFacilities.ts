/**
 * What the host's KVM can do, as far as a vCPU's thread cares. For breakpoints, see debug/probe.ts.
 */
export interface VcpuFacilities {
  /** KVM_GUESTDBG_BLOCKIRQ is there. */
  readonly blockIrq: boolean;
  /** KVM re-initialises a vCPU that triple faults: its registers are kept at every exit (lastExit.ts). */
  readonly resetsAtShutdown: boolean;
}
