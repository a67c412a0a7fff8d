/** The result of `vmm check --json` as a page. Pure. */
import type { Finding, HostCheck } from '../vmm-core/protocol/hostCheck.ts';

/** Throws when the text is something else. */
export function parseHostCheck(json: string): HostCheck {
  const value = JSON.parse(json) as Partial<HostCheck> | null;
  if (typeof value?.usable !== 'boolean' || !Array.isArray(value.findings)) {
    throw new Error(`not the output of "vmm check --json": ${json.slice(0, 80)}`);
  }
  return value as HostCheck;
}

const MARKS: Readonly<Record<Finding['status'], string>> = { ok: '✓', warning: '!', missing: '✗' };

const STYLE = `
  body { max-width: 56em; padding: 1.5em 2em; line-height: 1.5; }
  h1 { font-size: 1.6em; font-weight: 600; margin: 0 0 .2em; }
  .verdict { margin: 0 0 1.6em; color: var(--vscode-descriptionForeground); }
  ul { list-style: none; margin: 0; padding: 0; }
  li { display: grid; grid-template-columns: 2em 15em 1fr; padding: .5em 0;
       border-top: 1px solid var(--vscode-panel-border, var(--vscode-widget-border)); }
  .mark { font-weight: 700; }
  .ok .mark { color: var(--vscode-testing-iconPassed); }
  .warning .mark { color: var(--vscode-editorWarning-foreground); }
  .missing .mark { color: var(--vscode-errorForeground); }
  .title { font-weight: 600; }
  .cure { margin-top: .35em; padding: .45em .8em; border-left: 3px solid var(--vscode-textBlockQuote-border);
          background: var(--vscode-textBlockQuote-background); }
  .again { display: inline-block; margin-top: 1.6em; padding: .45em 1.1em; border-radius: 2px; text-decoration: none;
           color: var(--vscode-button-foreground); background: var(--vscode-button-background); }
  .again:hover { color: var(--vscode-button-foreground); background: var(--vscode-button-hoverBackground); }
`;

/** `checkAgain`: where the button leads. What is missing comes first: the reader came for that. */
export function hostCheckPage(check: HostCheck, checkAgain: string): string {
  const order = ['missing', 'warning', 'ok'];
  const findings = [...check.findings].sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status));
  const heading = check.usable
    ? 'This machine can run your kernels'
    : 'This machine cannot run virtual machines yet';
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';">
<title>Host Check</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${heading}</h1>
<p class="verdict">${escapeHtml(verdict(check))}</p>
<ul>
${findings.map(findingItem).join('\n')}
</ul>
<a class="again" href="${escapeHtml(checkAgain)}">Check Again</a>
</body>
</html>
`;
}

function verdict(check: HostCheck): string {
  if (!check.usable)
    return 'Trapframe runs guests on the hardware virtualization of this machine. What is missing, and what to do about it:';
  const weak = check.findings.some((it) => it.status !== 'ok');
  return weak
    ? 'Guests run here. Some things are slower or fewer than they could be:'
    : 'Everything Trapframe uses is here.';
}

function findingItem(finding: Finding): string {
  const cure = finding.cure === undefined ? '' : `<div class="cure">${sentence(finding.cure)}</div>`;
  const parts = [
    `<span class="mark" aria-label="${finding.status}">${MARKS[finding.status]}</span>`,
    `<span class="title">${escapeHtml(finding.title)}</span>`,
    `<div>${sentence(finding.detail)}${cure}</div>`,
  ];
  return `<li class="${finding.status}" data-finding="${escapeHtml(finding.id)}">${parts.join('')}</li>`;
}

/** The command line's lower-case phrases, capitalised for a page. */
function sentence(phrase: string): string {
  return escapeHtml(phrase.charAt(0).toUpperCase() + phrase.slice(1));
}

function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  };
  return text.replace(/[&<>"]/g, (it) => entities[it] ?? it);
}
