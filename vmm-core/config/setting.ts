/**
 * What a setting of a VM is. One row has everything about it: the schema of launch.json, `vmm run`'s flags
 * and usage, vm.conf's directives with their manual, the check of a VmConfig that a client sends and README's
 * tables come from the rows in settings.ts and debugSettings.ts. No field may be left out: a setting that a
 * surface lacks says `undefined` there.
 *
 * Members that take a `T` are written as methods, so that rows of different types fit into one list.
 */
import type { Directive, Written, WrittenValue } from './directive.ts';

export interface Setting<T> {
  readonly value: ValueKind<T>;
  /** Absent in the configuration when not asked for. */
  readonly isOptional: boolean;
  readonly launch: LaunchAttribute | undefined;
  readonly flag: Flag | undefined;
  readonly vmConf: VmConfForm<T> | undefined;
}

/** The values that a setting can have, and how they are written. */
export interface ValueKind<T> {
  /** For the editor of a launch.json. */
  readonly schema: ValueSchema;
  /** From launch.json, or from a flag that wrote the same. Undefined when it has complained. */
  read(written: unknown, complain: Complain): T | undefined;
  /** From a configuration that came over the control socket. Undefined when it has complained. */
  check(value: unknown, complain: Complain): T | undefined;
  /** As launch.json has it. */
  print(value: T): unknown;
  /** With its paths made absolute. */
  resolve(value: T, absolute: (path: string) => string): T;
}

/** Takes a sentence that continues the setting's name; `part` is appended to the name: `.com1`. */
export type Complain = (message: string, part?: string) => undefined;

/** The part of JSON Schema that we use. */
export interface ValueSchema {
  readonly type?: JsonType | readonly JsonType[];
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly enumDescriptions?: readonly string[];
  readonly items?: ValueSchema;
  readonly properties?: Readonly<Record<string, ValueSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | ValueSchema;
  readonly anyOf?: readonly ValueSchema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly patternErrorMessage?: string;
  readonly default?: unknown;
}

type JsonType = 'string' | 'number' | 'integer' | 'boolean' | 'array' | 'object';

/** An attribute of launch.json. */
export interface LaunchAttribute {
  readonly key: string;
  /** As a user would write it; undefined when there is none. */
  readonly default: unknown;
  /** The complaint when it is missing. */
  readonly missing: string | undefined;
  /** Markdown for completion, hover and README; undefined when VS Code has its own. */
  readonly description: string | undefined;
}

/** A flag of `vmm run`. */
export interface Flag {
  readonly name: string;
  /** The placeholder for its value in the usage; undefined: it has no value. */
  readonly placeholder: string | undefined;
  readonly isRepeatable: boolean;
  /** A line of the usage. */
  readonly text: string;
  /**
   * The value as in launch.json. `given`: one entry for each use of the flag, empty when it takes no value.
   * `refuse` takes a whole sentence.
   */
  readonly read: (given: readonly string[], refuse: (sentence: string) => undefined) => unknown;
}

/** How a vm.conf writes it. */
export interface VmConfForm<T> {
  readonly directives: Readonly<Record<string, Directive>>;
  /** Whether an instance inherits it from its parent. */
  readonly isInherited: boolean;
  readonly read: (vm: WrittenVm) => T | undefined;
  /**
   * What of it this VMM cannot do yet, in words; undefined when a directive is supported. Shrinks as the
   * machine grows.
   */
  readonly unsupported: (written: Written) => string | undefined;
}

/** A VM in a vm.conf, with what it inherits: rows read their values from this. */
export interface WrittenVm {
  readonly name: string;
  /** In the order of the file. */
  all(...ids: readonly string[]): readonly Written[];
  /** The one that counts. */
  last(...ids: readonly string[]): Written | undefined;
  /** The same in its `debug` settings. */
  allDebug(id: string): readonly Written[];
  /** Statements of the file, outside of VMs. */
  top(id: string): readonly Written[];
  /** Absolute. */
  path(value: WrittenValue): string;
}
