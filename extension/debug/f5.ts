/** Whether F5 is ours when no launch.json says what it does. Pure. */

export const BOOT_COMMAND = 'trapframe.boot';
/** The context key that is set while F5 is ours. */
export const ANSWERS_F5 = 'trapframe.answersF5';

export interface F5Situation {
  /** The workspace has something that a VM could boot. */
  readonly hasCandidates: boolean;
  /** Some launch.json, or the settings, say what to debug. */
  readonly hasConfigurations: boolean;
  /** Of the file in the active editor; undefined when none is open, or one that is not text. */
  readonly language: string | undefined;
  /** Languages that other debuggers want. */
  readonly othersLanguages: ReadonlySet<string>;
}

/**
 * Without an answer VS Code lists all debugger types alphabetically when no file is open, and says that it
 * has none for a README. A file that another debugger wants is left to VS Code, which asks when there are
 * several.
 */
export function answersF5({
  hasCandidates,
  hasConfigurations,
  language,
  othersLanguages,
}: F5Situation): boolean {
  if (!hasCandidates || hasConfigurations) return false;
  return language === undefined || !othersLanguages.has(language);
}

/** The part of an extension's manifest that we look at. */
interface Manifest {
  readonly contributes?: { readonly debuggers?: readonly { readonly languages?: readonly string[] }[] };
}

export function debuggedLanguages(manifests: readonly unknown[]): Set<string> {
  const debuggers = manifests.flatMap((it) => (it as Manifest).contributes?.debuggers ?? []);
  return new Set(debuggers.flatMap((it) => it.languages ?? []));
}
