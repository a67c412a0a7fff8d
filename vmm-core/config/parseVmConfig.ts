/**
 * A VmConfig from what a user wrote (launch.json, flags) or a client sent, with every problem named by its
 * key. Pure: machine/ looks at files and the host later.
 */
import { checkKeys, checkRows, type ConfigProblem, type Input, keysOf, readRows } from './rows.ts';
import { SETTINGS } from './settings.ts';
import { consoleProblem } from './settings/consoles.ts';
import { nameOfKernel } from './settings/hardware.ts';
import { networksProblem } from './settings/network.ts';
import { shareProblem } from './settings/shares.ts';
import { storageProblem } from './settings/storage.ts';
import type { VmConfig } from './vmConfig.ts';

/** The keys that describe a VM, as users spell them in launch.json. */
export const VM_KEYS: readonly string[] = keysOf(SETTINGS);

export interface ParsedConfig {
  /** Present when there are no problems. */
  readonly config?: VmConfig;
  readonly problems: readonly ConfigProblem[];
}

/**
 * From launch.json. `otherKeys`: keys that belong to the caller (debugger settings) and are accepted unread.
 */
export function parseVmConfig(input: Input, otherKeys: readonly string[] = []): ParsedConfig {
  const problems: ConfigProblem[] = [];
  checkKeys(input, [...VM_KEYS, ...otherKeys], problems);
  return parsed(readRows(SETTINGS, input, problems), problems);
}

/** From a client, which may be any program. What launch.json cannot ask for, a client cannot either. */
export function checkVmConfig(given: Input): ParsedConfig {
  const problems: ConfigProblem[] = [];
  const known = Object.entries(SETTINGS).flatMap(([name, { launch }]) =>
    launch === undefined ? [] : [name],
  );
  checkKeys(given, known, problems);
  return parsed(checkRows(SETTINGS, given, problems), problems);
}

function parsed(config: VmConfig, problems: readonly ConfigProblem[]): ParsedConfig {
  if (problems.length > 0) return { problems };
  const together = [storageProblem, networksProblem, shareProblem, consoleProblem].flatMap(
    (check) => check(config) ?? [],
  );
  if (together.length > 0) return { problems: together };
  const name = config.name === '' ? nameOfKernel(config.kernel) : config.name;
  return { config: { ...config, name }, problems };
}
