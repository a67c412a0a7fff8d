/** Opens src/main.c of the sample at the function to try, and its README beside: VS Code can be told to open one file, not two. */
const vscode = require('vscode');

exports.activate = async () => {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  const isReload = vscode.window.tabGroups.all.some((it) => it.tabs.length > 0);
  if (folder === undefined || isReload) return;
  const readme = vscode.Uri.joinPath(folder.uri, 'README.md');
  const source = await vscode.workspace.openTextDocument(vscode.Uri.joinPath(folder.uri, 'src/main.c'));
  const line = source.positionAt(source.getText().indexOf('static void on_key(')).line;
  const editor = await vscode.window.showTextDocument(source, { preview: false });
  editor.selection = new vscode.Selection(line, 0, line, 0);
  editor.revealRange(editor.selection, vscode.TextEditorRevealType.AtTop);
  const beside = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true, preview: false };
  await vscode.commands.executeCommand('vscode.openWith', readme, 'vscode.markdown.preview.editor', beside);
};
