/**
 * The language server of vm.conf, over stdio: `vmm lsp` or the extension starts it; any editor may. It has no
 * knowledge of the language: that is in vmm-core/config. Diagnostics follow a change at once; a key press
 * re-reads one statement (workspace.ts).
 */
import { preferSpeed, tidyUp } from './leanEngine.ts'; // first
import {
  CodeActionKind,
  createConnection,
  type Diagnostic,
  DiagnosticSeverity,
  DiagnosticTag,
  type InitializeParams,
  type InitializeResult,
  type Position,
  ProposedFeatures,
  ResponseError,
  SignatureHelpTriggerKind,
  TextDocumentSyncKind,
} from 'vscode-languageserver/node';
import { endProcess, standardError } from '../../../vmm-core/client/output.ts';
import { fileErrorText } from '../../../vmm-core/client/regularFile.ts';
import type { Problem } from '../../../vmm-core/vmConf/problem.ts';
import type { SourceFile } from '../../../vmm-core/vmConf/sourceFile.ts';
import type { ConfigTree } from '../../../vmm-core/vmConf/syntaxTree.ts';
import { hasErrors } from '../../../vmm-core/vmConf/checkTree.ts';
import { describedVms } from '../../../vmm-core/vmConf/describedVms.ts';
import { codeActions, CREATE_DISK } from './codeActions.ts';
import { createDisk } from './createDisk.ts';
import { completions } from './completion.ts';
import { codeLenses, inlayHints, semanticTokens, TOKEN_TYPES } from './decorations.ts';
import { formatOnType, formatRange, formatWhole } from './formatting.ts';
import { hover, signatureHelp } from './hover.ts';
import { VMS_REQUEST, type VmsParams, type VmsResult } from './contract.ts';
import { editsForRename } from './includes.ts';
import { Lifecycle } from './lifecycle.ts';
import { definition, links, prepareRename, references, rename, type Scope } from './navigation.ts';
import { PatientReader, PatientWriter, untilQuiet } from './pipes.ts';
import { documentSymbols, foldingRanges, selectionRange, workspaceSymbols } from './symbols.ts';
import { pathOf, rangeOf, uriOf, Workspace } from './workspace.ts';

/** Changes in one burst are answered together. */
const SETTLE_MS = 5;
/** Per file: more than anyone reads, and than editors list. */
const MAX_DIAGNOSTICS = 1000;
/** Of what this VMM cannot do yet. */
const MAX_REMARKS = 100;
const REQUEST_FAILED = -32803;
const EXIT_BROKEN = 1;
/** Everything that a vm.conf includes by custom, and its own names. */
const CONFIG_FILES = { filters: [{ scheme: 'file', pattern: { glob: '**/*.conf' } }] };

const lifecycle = new Lifecycle();
const writer = new PatientWriter(process.stdout);
const connection = createConnection(
  ProposedFeatures.all,
  new PatientReader(process.stdin, {
    onClose: () => void leave(),
    onBroken: ({ message }) => {
      standardError.write(`vmm lsp: ${message}\n`);
      void leave(EXIT_BROKEN);
    },
    answer: (response) => void writer.write(response),
  }),
  writer,
  {
    messageStrategy: {
      handleMessage: (message, next) =>
        lifecycle.take(message, {
          handle: next,
          answer: (response) => void writer.write(response),
          complain: (sentence) => connection.console.error(sentence),
          exit: () => void leave(),
        }),
    },
  },
);
connection.onShutdown(() => clearTimeout(timer));
const workspace = new Workspace();
workspace.onLargeRead = preferSpeed;
const pending = new Set<string>();
let canRenameFiles = false;
let timer: NodeJS.Timeout | undefined;

connection.onInitialize((params: InitializeParams): InitializeResult => {
  workspace.folders = (params.workspaceFolders ?? []).map((it) => pathOf(it.uri));
  const options = params.initializationOptions as { openbsd?: boolean } | undefined;
  workspace.settings = { openbsd: options?.openbsd === true };
  const operations = params.capabilities.workspace?.workspaceEdit?.resourceOperations;
  canRenameFiles = operations?.includes('rename') === true;
  return {
    serverInfo: { name: 'trapframe-vm-conf' },
    capabilities: {
      textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental, save: true },
      completionProvider: { triggerCharacters: ['$', '/', '"', "'", ':'] },
      hoverProvider: true,
      signatureHelpProvider: { triggerCharacters: [' '] },
      definitionProvider: true,
      referencesProvider: true,
      renameProvider: { prepareProvider: true },
      documentSymbolProvider: true,
      workspaceSymbolProvider: true,
      foldingRangeProvider: true,
      selectionRangeProvider: true,
      documentLinkProvider: {},
      documentFormattingProvider: true,
      documentRangeFormattingProvider: true,
      documentOnTypeFormattingProvider: { firstTriggerCharacter: '}', moreTriggerCharacter: ['\n'] },
      semanticTokensProvider: {
        legend: { tokenTypes: [...TOKEN_TYPES], tokenModifiers: [] },
        full: true,
        range: true,
      },
      inlayHintProvider: true,
      codeActionProvider: { codeActionKinds: [CodeActionKind.QuickFix] },
      codeLensProvider: {},
      executeCommandProvider: { commands: [CREATE_DISK] },
      workspace: {
        workspaceFolders: { supported: true },
        fileOperations: { willRename: CONFIG_FILES, didRename: CONFIG_FILES },
      },
    },
  };
});

// Documents.

connection.onDidOpenTextDocument(({ textDocument: { uri, version, text } }) => {
  workspace.open(pathOf(uri), version, text);
  schedule(pathOf(uri));
});

connection.onDidChangeTextDocument(({ textDocument: { uri, version }, contentChanges }) => {
  workspace.change(pathOf(uri), version ?? 0, contentChanges);
  schedule(pathOf(uri));
});

connection.onDidCloseTextDocument(({ textDocument: { uri } }) => {
  workspace.close(pathOf(uri));
  void connection.sendDiagnostics({ uri, diagnostics: [] });
  for (const name of workspace.openFiles) schedule(name); // they may include it, and now see the file on disk
});

connection.onDidSaveTextDocument(refreshHost);
connection.onDidChangeWatchedFiles(refreshFiles);
connection.workspace.onDidRenameFiles(refreshFiles); // editors report it before they see the change on disk
connection.onDidChangeConfiguration(({ settings }: { settings?: unknown }) => {
  const openbsd = (settings as { trapframe?: { vmConf?: { openbsd?: boolean } } } | undefined)?.trapframe
    ?.vmConf?.openbsd;
  workspace.settings = { openbsd: openbsd === true };
  workspace.forgetTrees();
  for (const name of workspace.openFiles) schedule(name);
});

function refreshFiles(): void {
  workspace.forgetTrees();
  refreshHost();
}

function refreshHost(): void {
  workspace.forgetHost();
  for (const name of workspace.openFiles) schedule(name);
}

function schedule(name: string): void {
  pending.add(name);
  timer ??= setTimeout(publish, SETTLE_MS);
}

function publish(): void {
  timer = undefined;
  const names = new Set([...pending].flatMap((it) => workspace.related(it)));
  pending.clear();
  for (const name of names) {
    const diagnostics = diagnosticsOf(workspace.problems(name));
    void connection.sendDiagnostics({ uri: uriOf(name), version: workspace.version(name), diagnostics });
  }
  setImmediate(tidyUp); // they are on their way first
}

/** Errors go first when not all can be shown. */
function diagnosticsOf(found: readonly Problem[]): Diagnostic[] {
  const problems = withFewRemarks(found);
  if (problems.length <= MAX_DIAGNOSTICS) return problems.map(diagnosticOf);
  const ranked = [
    ...problems.filter((it) => it.severity === 'error'),
    ...problems.filter((it) => it.severity !== 'error'),
  ];
  const start = { line: 0, character: 0 };
  const rest: Diagnostic = {
    range: { start, end: start },
    message: `${problems.length - MAX_DIAGNOSTICS} more problems are not shown; "vmm load -n" prints all`,
    source: 'vm.conf',
    severity: DiagnosticSeverity.Information,
  };
  return [...ranked.slice(0, MAX_DIAGNOSTICS).map(diagnosticOf), rest];
}

/** A file with thousands of VMs would repeat it for each; it would be sent with every key press. */
function withFewRemarks(problems: readonly Problem[]): readonly Problem[] {
  let remarks = 0;
  return problems.filter(({ code }) => code !== 'not-supported' || remarks++ < MAX_REMARKS);
}

function diagnosticOf(problem: Problem): Diagnostic {
  const range = rangeOf(problem.end > problem.start ? problem : { ...problem, end: problem.start + 1 });
  return {
    range,
    message: problem.message,
    code: problem.code,
    source: 'vm.conf',
    severity: severityOf(problem),
    ...(problem.code === 'unused-macro' ? { tags: [DiagnosticTag.Unnecessary] } : {}),
  };
}

/** Nothing is wrong with what only this VMM lacks: the file may be another's. */
function severityOf({ severity, code }: Problem): DiagnosticSeverity {
  if (code === 'not-supported') return DiagnosticSeverity.Information;
  return severity === 'error' ? DiagnosticSeverity.Error : DiagnosticSeverity.Warning;
}

// Requests.

interface At {
  readonly textDocument: { readonly uri: string };
  readonly position: Position;
}

/** A request about a place: `fallback` for files that we do not know. */
function atPlace<T>(
  request: At,
  fallback: T,
  answer: (tree: ConfigTree, file: SourceFile, offset: number) => T,
): T {
  const found = workspace.treeOf(pathOf(request.textDocument.uri));
  return found === undefined ? fallback : answer(found.tree, found.file, found.file.offset(request.position));
}

/** A request about a name, which may be in several files and roots. */
function inScope<T>(
  request: At,
  fallback: T,
  answer: (scope: Scope, file: SourceFile, offset: number) => T,
): T {
  return atPlace(request, fallback, (tree, file, offset) =>
    answer({ tree, allTrees: workspace.allTrees(), host: workspace.host, canRenameFiles }, file, offset),
  );
}

function inFile<T>(
  request: { readonly textDocument: { readonly uri: string } },
  fallback: T,
  answer: (tree: ConfigTree, file: SourceFile) => T,
): T {
  const found = workspace.treeOf(pathOf(request.textDocument.uri));
  setImmediate(tidyUp);
  return found === undefined ? fallback : answer(found.tree, found.file);
}

connection.onCompletion((it) => atPlace(it, [], completions));
connection.onHover((it) => atPlace(it, undefined, hover));
connection.onSignatureHelp((it) =>
  atPlace(it, undefined, (...place) =>
    signatureHelp(...place, it.context?.triggerKind === SignatureHelpTriggerKind.Invoked),
  ),
);
connection.onDefinition((it) =>
  atPlace(it, [], (tree, file, offset) => definition(tree, file, offset, workspace.host)),
);
connection.onReferences((it) =>
  inScope(it, [], (scope, file, offset) => references(scope, file, offset, it.context.includeDeclaration)),
);
connection.onPrepareRename((it) => inScope(it, null, (...place) => orFail(prepareRename(...place))));
connection.onRenameRequest((it) => inScope(it, null, (...place) => orFail(rename(...place, it.newName))));
connection.workspace.onWillRenameFiles(({ files }) => {
  const documentChanges = files.flatMap(({ oldUri, newUri }) => {
    const [from, to] = [pathOf(oldUri), pathOf(newUri)];
    const edits = editsForRename(workspace.allTrees(), workspace.host, from, to);
    return typeof edits === 'string' ? [] : edits; // the file is renamed all the same, and the include reported
  });
  return { documentChanges };
});
connection.onDocumentSymbol((it) => inFile(it, [], documentSymbols));
connection.onWorkspaceSymbol(({ query }) => workspaceSymbols(workspace.allTrees(), query));
connection.onFoldingRanges((it) => inFile(it, [], foldingRanges));
connection.onSelectionRanges((it) =>
  inFile(it, [], (tree, file) => it.positions.map((at) => selectionRange(tree, file, file.offset(at)))),
);
connection.onDocumentLinks((it) => inFile(it, [], (tree, file) => links(tree, file, workspace.host)));
connection.onDocumentFormatting((it) => inFile(it, [], (_, file) => formatWhole(file, workspace.host)));
connection.onDocumentRangeFormatting((it) =>
  inFile(it, [], (tree, file) => formatRange(tree, file, it.range, workspace.host)),
);
connection.onDocumentOnTypeFormatting((it) =>
  inFile(it, [], (tree, file) => formatOnType(tree, file, it.position)),
);
connection.languages.semanticTokens.on((it) =>
  inFile(it, { data: [] }, (tree, file) => semanticTokens(tree, file)),
);
connection.languages.semanticTokens.onRange((it) =>
  inFile(it, { data: [] }, (tree, file) => semanticTokens(tree, file, it.range)),
);
connection.languages.inlayHint.on((it) => inFile(it, [], (tree, file) => inlayHints(tree, file, it.range)));
connection.onCodeLens((it) => inFile(it, [], codeLenses));
connection.onCodeAction((it) =>
  inFile(it, [], (tree, file) => {
    const [start, end] = [file.offset(it.range.start), file.offset(it.range.end)];
    const problems = workspace
      .problems(file.path)
      .filter((problem) => problem.start <= end && problem.end >= start);
    return codeActions(tree, problems, it.context.diagnostics);
  }),
);

connection.onExecuteCommand(({ command, arguments: args = [] }) => {
  const [name, format, bytes] = args as unknown[];
  const isOurs = command === CREATE_DISK && (format === 'raw' || format === 'qcow2');
  if (!isOurs || typeof name !== 'string' || typeof bytes !== 'number') return null;
  try {
    createDisk(name, format, bytes);
  } catch (error) {
    throw new ResponseError(REQUEST_FAILED, `cannot create ${name}: ${fileErrorText(error)}`);
  }
  refreshHost();
  return null;
});

connection.onRequest(VMS_REQUEST, ({ uri }: VmsParams) =>
  inFile<VmsResult>({ textDocument: { uri } }, null, (tree, file) => {
    if (hasErrors(workspace.problemsOf(tree))) return null;
    return file === tree.root || tree.files.includes(file) ? describedVms(tree, workspace.host) : null;
  }),
);

/** Once everything before it has been handled, and the answers have been read, however slowly. */
async function leave(exitCode?: number): Promise<void> {
  await untilQuiet(lifecycle, writer);
  await endProcess(exitCode ?? lifecycle.exitCode);
}

/** A sentence becomes the error that the editor shows. */
function orFail<T extends object>(result: T | string): T {
  if (typeof result === 'string') throw new ResponseError(REQUEST_FAILED, result);
  return result;
}

connection.listen();
