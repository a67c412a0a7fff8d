/**
 * An interrupt input of the in-kernel irqchip. machine.ts supplies the KVM one (KVM_IRQ_LINE); tests a
 * recorder. Callable on any thread; devices call it with their lock held, so that levels arrive in the order
 * they were computed.
 */
export interface IrqLine {
  /**
   * Level semantics: idempotent, `true` asserts. An edge-triggered input sees an edge when it changes to
   * true.
   */
  set(asserted: boolean): void;
}
