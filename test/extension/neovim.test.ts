/**
 * The language server of vm.conf under a client that is not ours: Debian's neovim, headless, `vmm lsp` as it
 * is installed.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { ensurePackages } from '../../scripts/debian.ts';
import { ROOT } from './support/root.ts';

const EDITOR_TIMEOUT_MS = 90_000;

/** Lua: what an editor's user does, with the outcome of each step recorded. */
const SCRIPT = `
local result = {}
local function note(key, value) result[key] = value end
local function wait_for(what, condition)
  if not vim.wait(30000, condition, 20) then note('timeout', what) end
end
local function request(method, params)
  local answers = vim.lsp.buf_request_sync(0, method, params, 30000) or {}
  for _, answer in pairs(answers) do return answer.result end
end
local severity = vim.diagnostic.severity
-- What cannot run yet is reported as information, and is not a problem.
local function problems() return vim.diagnostic.get(0, { severity = { min = severity.WARN } }) end
local function remarks() return vim.diagnostic.get(0, { severity = severity.INFO }) end
local function messages(diagnostics) return vim.tbl_map(function(it) return it.message end, diagnostics) end
local ok, failure = pcall(function()
  vim.cmd('edit vm.conf')
  vim.bo.expandtab = false
  local id = vim.lsp.start_client({ name = 'vmconf', cmd = { os.getenv('NODE'), os.getenv('VMM'), 'lsp' }, root_dir = vim.fn.getcwd() })
  vim.lsp.buf_attach_client(0, id)
  wait_for('a diagnostic', function() return #problems() > 0 end)
  note('diagnostics', messages(problems()))
  note('remarks', messages(remarks()))

  vim.api.nvim_buf_set_lines(0, 1, 2, false, { '\\tmemory 1G' })
  wait_for('no diagnostic', function() return #problems() == 0 end)

  local document = vim.lsp.util.make_text_document_params()
  vim.api.nvim_buf_set_lines(0, 2, 2, false, { '\\tinter' })
  local items = request('textDocument/completion', { textDocument = document, position = { line = 2, character = 6 } })
  note('completion', vim.tbl_map(function(it) return it.label end, items))
  vim.api.nvim_buf_set_lines(0, 2, 3, false, {})

  local hover = request('textDocument/hover', { textDocument = document, position = { line = 1, character = 3 } })
  note('hover', hover.contents.value)

  local edit = request('textDocument/rename', { textDocument = document, position = { line = 2, character = 20 }, newName = 'lan' })
  vim.lsp.util.apply_workspace_edit(edit, 'utf-16')
  local edits = request('textDocument/formatting', { textDocument = document, options = { tabSize = 8, insertSpaces = false } })
  vim.lsp.util.apply_text_edits(edits, 0, 'utf-16')
  vim.cmd('wall')

  local at_include = { textDocument = document, position = { line = 6, character = 12 }, newName = 'switches.conf' }
  local file_edit = request('textDocument/rename', at_include)
  vim.lsp.util.apply_workspace_edit(file_edit, 'utf-16')
  wait_for('no diagnostic after a file was renamed', function() return #problems() == 0 end)
  note('errors', messages(problems()))
  vim.cmd('wall')
end)
if not ok then note('failure', failure) end
vim.fn.writefile({ vim.fn.json_encode(result) }, 'result.json')
vim.cmd('qall!')
`;

interface Result {
  readonly failure?: string;
  readonly timeout?: string;
  readonly diagnostics: readonly string[];
  readonly remarks: readonly string[];
  readonly completion: readonly string[];
  readonly hover: string;
}

it('neovim shows diagnostics, completes, hovers, renames in two files, renames a file and lays out', async (t) => {
  const missing = await ensurePackages(['neovim']);
  if (missing !== undefined) {
    t.skip(missing);
    return;
  }
  const folder = await mkdtemp(path.join(tmpdir(), 'tf-nvim-'));
  try {
    const text =
      'vm "a" {\n\tmemory 1GB\n\tinterface { switch "uplink" }\n\tboot device disk\n  kernel  "k"\n}\ninclude "sw.conf"\n';
    await writeFile(path.join(folder, 'k'), '');
    await writeFile(path.join(folder, 'vm.conf'), text);
    await writeFile(path.join(folder, 'sw.conf'), 'switch "uplink" {\n\tinterface bridge0\n}\n');
    await writeFile(path.join(folder, 'test.lua'), SCRIPT);
    const env = { ...process.env, NODE: process.execPath, VMM: path.join(ROOT, 'dist/vmm.js'), HOME: folder };
    const args = ['--headless', '--clean', '-n', '-c', 'luafile test.lua'];
    await promisify(execFile)('nvim', args, { cwd: folder, env, timeout: EDITOR_TIMEOUT_MS });
    const result = JSON.parse(await readFile(path.join(folder, 'result.json'), 'utf8')) as Result;
    assert.deepEqual([result.failure, result.timeout], [undefined, undefined]);
    assert.deepEqual(result.diagnostics, [
      '"1GB" is not a size: write a number and one of B K M G T P E, such as 1G',
    ]);
    assert.deepEqual(result.remarks, ['VM "a" asks for what this VMM cannot do yet: boot device']);
    assert.ok(result.completion.includes('interface') && result.completion.includes('interfaces'));
    assert.match(result.hover, /`memory` \*size\*/);
    const after = await readFile(path.join(folder, 'vm.conf'), 'utf8');
    assert.equal(
      after,
      'vm "a" {\n\tmemory 1G\n\tinterface { switch "lan" }\n\tboot device disk\n\tkernel "k"\n}\ninclude "switches.conf"\n',
    );
    assert.match(await readFile(path.join(folder, 'switches.conf'), 'utf8'), /^switch "lan" \{/);
    assert.equal(existsSync(path.join(folder, 'sw.conf')), false);
  } finally {
    await rm(folder, { recursive: true });
  }
});
