/** An interrupt input of the in-kernel irqchip. machine.ts supplies the KVM one (KVM_IRQ_LINE); tests a recorder. Callable on any thread. */
export interface IrqLine {
  /** Level semantics: idempotent, `true` asserts. */
  set(asserted: boolean): void;
}
