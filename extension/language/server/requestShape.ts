/**
 * What the parameters of each message must look like: a wrong client is told where it errs, and handlers can
 * trust their types.
 */
import { VMS_REQUEST } from './contract.ts';
import { pathOf } from './workspace.ts';

/** Undefined when the value is right, else a sentence about `name`. */
type Check = (value: unknown, name: string) => string | undefined;

const text: Check = (value, name) => (typeof value === 'string' ? undefined : `"${name}" must be a string`);
const number: Check = (value, name) => (typeof value === 'number' ? undefined : `"${name}" must be a number`);
const object: Check = (value, name) =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? undefined
    : `"${name}" must be an object`;
const uri: Check = (value, name) => {
  if (typeof value !== 'string') return text(value, name);
  try {
    pathOf(value);
    return undefined;
  } catch {
    return `"${name}" names no file: ${value.slice(0, 200)}`;
  }
};

function optional(check: Check): Check {
  return (value, name) => (value === undefined || value === null ? undefined : check(value, name));
}

function list(check: Check): Check {
  return (value, name) => {
    if (!Array.isArray(value)) return `"${name}" must be a list`;
    return first(value.map((it, i) => () => check(it, `${name}[${i}]`)));
  };
}

function fields(checks: Readonly<Record<string, Check>>): Check {
  return (value, name) =>
    object(value, name) ??
    first(
      Object.entries(checks).map(
        ([key, check]) =>
          () =>
            check((value as Record<string, unknown>)[key], `${name}.${key}`),
      ),
    );
}

function first(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const wrong = check();
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

const position = fields({ line: number, character: number });
const range = fields({ start: position, end: position });
const inFile = { textDocument: fields({ uri }) };
const atPlace = { ...inFile, position };
const overRange = { ...inFile, range };
const renames = { files: list(fields({ oldUri: uri, newUri: uri })) };

const PARAMS: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  initialize: { capabilities: object, workspaceFolders: optional(list(fields({ uri }))) },
  'textDocument/didOpen': { textDocument: fields({ uri, version: optional(number), text }) },
  'textDocument/didChange': {
    ...inFile,
    contentChanges: list(fields({ text, range: optional(range) })),
  },
  'textDocument/didClose': inFile,
  'textDocument/didSave': inFile,
  'textDocument/completion': atPlace,
  'textDocument/hover': atPlace,
  'textDocument/signatureHelp': atPlace,
  'textDocument/definition': atPlace,
  'textDocument/references': { ...atPlace, context: object },
  'textDocument/prepareRename': atPlace,
  'textDocument/rename': { ...atPlace, newName: text },
  'textDocument/documentSymbol': inFile,
  'textDocument/foldingRange': inFile,
  'textDocument/selectionRange': { ...inFile, positions: list(position) },
  'textDocument/documentLink': inFile,
  'textDocument/formatting': inFile,
  'textDocument/rangeFormatting': overRange,
  'textDocument/onTypeFormatting': atPlace,
  'textDocument/semanticTokens/full': inFile,
  'textDocument/semanticTokens/range': overRange,
  'textDocument/inlayHint': overRange,
  'textDocument/codeLens': inFile,
  'textDocument/codeAction': { ...overRange, context: fields({ diagnostics: list(object) }) },
  'workspace/symbol': { query: text },
  'workspace/executeCommand': { command: text, arguments: optional(list(() => undefined)) },
  'workspace/willRenameFiles': renames,
  'workspace/didRenameFiles': renames,
  [VMS_REQUEST]: { uri },
};

/** A sentence when the parameters of that method are not what it takes. */
export function wrongParams(method: string, params: unknown): string | undefined {
  const checks = Object.hasOwn(PARAMS, method) ? PARAMS[method] : undefined;
  return checks === undefined ? undefined : fields(checks)(params, 'params');
}
