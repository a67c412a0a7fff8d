/** What vm.conf can say and this VMM cannot do yet: rows tell it, part by part. */

/** Said by whoever should run the VM, and before that where it is written. */
export function unsupportedSentence(vm: string, parts: readonly string[]): string {
  return `VM "${vm}" asks for what this VMM cannot do yet: ${parts.join(', ')}`;
}
