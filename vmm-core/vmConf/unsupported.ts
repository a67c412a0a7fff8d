/** What vm.conf can ask for and this VMM cannot do yet, part by part, as the rows tell it. */

/** Said when the VM is to run, and earlier where it is written. */
export function unsupportedSentence(vm: string, parts: readonly string[]): string {
  return `VM "${vm}" asks for what this VMM cannot do yet: ${parts.join(', ')}`;
}
