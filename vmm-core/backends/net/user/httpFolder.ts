/**
 * The folder that port 80 of the host's address serves: GET and HEAD, ranges, a list of what is in a
 * directory (RFC 9110). On main, behind a listening socket that only the network's own connections reach.
 */
import { readdir, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { NotAFileError } from '../../../client/regularFile.ts';
import { type SharedFile, type SharedFolder, OutsideError } from './sharedFolder.ts';

const MAX_CONNECTIONS = 64;
const MAX_LISTED = 10_000;
const IDLE_MS = 60_000;

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.htm': 'text/html; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.cfg': 'text/plain; charset=utf-8',
  '.ipxe': 'text/plain; charset=utf-8',
  '.json': 'application/json',
  '.xml': 'application/xml',
  '.yaml': 'application/yaml',
  '.yml': 'application/yaml',
  '.iso': 'application/vnd.efi.iso',
  '.img': 'application/vnd.efi.img',
  '.efi': 'application/efi',
  '.gz': 'application/gzip',
  '.xz': 'application/x-xz',
  '.zst': 'application/zstd',
  '.tar': 'application/x-tar',
  '.deb': 'application/vnd.debian.binary-package',
};

/** Not yet listening. */
export function httpFolder(folder: SharedFolder): Server {
  const server = createServer((request, response) => {
    answer(folder, request, response).catch(() => response.destroy()); // the guest has gone, or the file
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.keepAliveTimeout = IDLE_MS;
  server.requestTimeout = IDLE_MS;
  return server;
}

async function answer(
  folder: SharedFolder,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('Server', 'Trapframe');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return refuse(response, 405);
  }
  const name = pathOf(request.url ?? '/');
  if (name === undefined) return refuse(response, 400);
  try {
    const path = await folder.resolve(name);
    if ((await stat(path)).isDirectory()) return await answerDirectory(folder, name, path, request, response);
    await answerFile(await folder.open(name), name, request, response);
  } catch (error) {
    if (response.headersSent) throw error;
    refuse(response, statusOf(error));
  }
}

/** Undefined: the target is none that a server takes. */
function pathOf(target: string): string | undefined {
  try {
    const path = decodeURIComponent((/^[^?#]*/.exec(target) ?? [''])[0]);
    return path.startsWith('/') ? path : undefined;
  } catch {
    return undefined; // %zz
  }
}

async function answerDirectory(
  folder: SharedFolder,
  name: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!name.endsWith('/')) {
    response.writeHead(301, { Location: `${pathUrl(name.replace(/^\/+/, '/'))}/` }).end();
    return;
  }
  const entries = await readdir(path, { withFileTypes: true });
  if (entries.some((it) => it.name === 'index.html'))
    return answerFile(await folder.open(join(name, 'index.html')), 'index.html', request, response);
  const names = entries.map((it) => (it.isDirectory() ? `${it.name}/` : it.name)).sort();
  const rows = names.slice(0, MAX_LISTED).map((it) => `<li><a href="${pathUrl(it)}">${escaped(it)}</a></li>`);
  const title = `Index of ${escaped(name)}`;
  const page = `<!DOCTYPE html>\n<title>${title}</title>\n<h1>${title}</h1>\n<ul>\n${rows.join('\n')}\n</ul>\n`;
  response.writeHead(200, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(page),
  });
  response.end(request.method === 'HEAD' ? undefined : page);
}

async function answerFile(
  file: SharedFile,
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { handle, sizeBytes, mtimeMs } = file;
  try {
    const etag = `"${sizeBytes.toString(16)}-${Math.floor(mtimeMs).toString(16)}"`;
    response.setHeader('Content-Type', TYPES[extname(name).toLowerCase()] ?? 'application/octet-stream');
    response.setHeader('Accept-Ranges', 'bytes');
    response.setHeader('Last-Modified', new Date(mtimeMs).toUTCString());
    response.setHeader('ETag', etag);
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return;
    }
    const asked = isRangeValid(request, etag) ? request.headers.range : undefined;
    const range = asked === undefined ? undefined : parseRange(asked, sizeBytes);
    if (range === 'unsatisfiable') {
      response.setHeader('Content-Range', `bytes */${sizeBytes}`);
      return refuse(response, 416);
    }
    const { start, end } = range ?? { start: 0, end: sizeBytes - 1 };
    if (range !== undefined) response.setHeader('Content-Range', `bytes ${start}-${end}/${sizeBytes}`);
    response.setHeader('Content-Length', end - start + 1);
    response.writeHead(range === undefined ? 200 : 206);
    if (request.method === 'HEAD' || end < start) response.end();
    else await pipeline(handle.createReadStream({ start, end, autoClose: false }), response);
  } finally {
    await handle.close();
  }
}

/** RFC 9110 §13.1.5: a range of another version of the file is not wanted. */
function isRangeValid(request: IncomingMessage, etag: string): boolean {
  const condition = request.headers['if-range'];
  return condition === undefined || condition === etag;
}

/** One range; several, or another unit: the whole file, as §14.2 allows. */
export function parseRange(
  text: string,
  sizeBytes: number,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(text.trim()) ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const start = Math.max(0, sizeBytes - Number(last));
    return Number(last) === 0 || sizeBytes === 0 ? 'unsatisfiable' : { start, end: sizeBytes - 1 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= sizeBytes) return 'unsatisfiable';
  return { start, end: last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) };
}

function statusOf(error: unknown): number {
  if (error instanceof OutsideError || error instanceof NotAFileError) return 403;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'ELOOP') return 404;
  return code === 'EACCES' || code === 'EPERM' ? 403 : 500;
}

function refuse(response: ServerResponse, status: number): void {
  response.removeHeader('Content-Type');
  response.writeHead(status, { 'Content-Length': 0 }).end();
}

/** Nothing in a name is a delimiter, nor a colon a scheme's end (RFC 3986 §4.2). */
function pathUrl(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (it) => `&#${it.charCodeAt(0)};`);
}
