/**
 * Everything an editor may ask, anywhere in broken files, while they are edited: answered or not, but never
 * with a crash.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { randomEdit, randomExample } from '../../../vmm-core/vmConf/fuzz.ts';
import { randomNumbers } from '../../../vmm-core/vmConf/testSupport.ts';
import { codeActions } from './codeActions.ts';
import { completions } from './completion.ts';
import { codeLenses, inlayHints, semanticTokens } from './decorations.ts';
import { formatOnType, formatRange, formatWhole } from './formatting.ts';
import { hover, signatureHelp } from './hover.ts';
import { definition, links, prepareRename, references, rename, type Scope } from './navigation.ts';
import { documentSymbols, foldingRanges, selectionRange, workspaceSymbols } from './symbols.ts';
import { type Range, rangeOf, Workspace } from './workspace.ts';

const COUNT = 250;
const EDITS = 4;
const FILE = '/nonexistent/vm.conf';

interface Ranged {
  readonly range: Range;
  readonly selectionRange: Range;
}

it(`${COUNT} files with ${EDITS} edits each`, () => {
  for (let seed = 1; seed <= COUNT; seed++) {
    try {
      editAndAsk(seed);
    } catch (error) {
      assert.fail(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
});

function editAndAsk(seed: number): void {
  const random = randomNumbers(seed);
  const workspace = new Workspace();
  let text = randomExample(random);
  workspace.open(FILE, 1, text);
  for (let i = 0; i < EDITS; i++) {
    const edit = randomEdit(text, random);
    const found = workspace.treeOf(FILE);
    assert.ok(found);
    const range = rangeOf({ file: found.file, ...edit });
    // A range ends at the end of its line: the text of the file decides.
    const [start, end] = [found.file.offset(range.start), found.file.offset(range.end)];
    text = text.slice(0, start) + edit.text + text.slice(end);
    workspace.change(FILE, i + 2, [{ range, text: edit.text }]);
    askEverything(workspace, random);
    assert.equal(workspace.treeOf(FILE)?.file.text, text);
  }
}

function askEverything(workspace: Workspace, random: (below: number) => number): void {
  const found = workspace.treeOf(FILE);
  assert.ok(found);
  const { tree, file } = found;
  const offset = random(file.text.length + 1);
  const whole = rangeOf({ file, start: 0, end: file.text.length });
  completions(tree, file, offset);
  hover(tree, file, offset);
  signatureHelp(tree, file, offset, true);
  definition(tree, file, offset, workspace.host);
  const scope: Scope = { tree, allTrees: [tree], host: workspace.host, canRenameFiles: true };
  references(scope, file, offset, true);
  prepareRename(scope, file, offset);
  rename(scope, file, offset, 'other');
  for (const symbol of documentSymbols(tree, file)) assertContains(symbol);
  workspaceSymbols(workspace.allTrees(), '');
  for (const it of foldingRanges(tree, file)) assert.ok(it.startLine <= it.endLine);
  selectionRange(tree, file, offset);
  links(tree, file, workspace.host);
  assertForward(semanticTokens(tree, file).data);
  inlayHints(tree, file, whole);
  codeLenses(tree, file);
  formatWhole(file, workspace.host);
  formatRange(tree, file, whole, workspace.host);
  formatOnType(tree, file, file.position(offset));
  codeActions(tree, workspace.problems(FILE), []);
}

/** VS Code refuses a symbol whose name is outside its range. */
function assertContains({ range, selectionRange }: Ranged): void {
  assert.ok(!isBefore(selectionRange.start, range.start) && !isBefore(range.end, selectionRange.end));
}

function isBefore(a: Range['start'], b: Range['start']): boolean {
  return a.line < b.line || (a.line === b.line && a.character < b.character);
}

/** Semantic tokens follow each other and have a length. */
function assertForward(data: readonly number[]): void {
  let previousLength = 0;
  for (let i = 0; i < data.length; i += 5) {
    const [deltaLine = 0, deltaStart = 0, length = 0] = data.slice(i, i + 3);
    assert.ok(deltaLine >= 0 && length > 0 && (deltaLine > 0 || i === 0 || deltaStart >= previousLength));
    previousLength = length;
  }
}
