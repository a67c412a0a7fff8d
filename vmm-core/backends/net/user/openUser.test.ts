import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Arrivals } from '../../../../test/support/deadline.ts';
import { ipText } from '../../../bus/socketAddress.ts';
import type { NetworkConfig } from '../../../config/settings/networkOptions.ts';
import type { LinkBackend, LinkHost } from '../linkKind.ts';
import { parseRange } from './httpFolder.ts';
import { open } from './openUser.ts';
import type { UserOpened } from './userMessages.ts';

const root = mkdtempSync(join(tmpdir(), 'user-'));
process.env.XDG_RUNTIME_DIR = root;
after(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, 'www/boot'), { recursive: true });
writeFileSync(join(root, 'secret'), 'secret');
writeFileSync(join(root, 'www/boot/a kernel.efi'), 'kernel of ten');
writeFileSync(join(root, 'www/boot.iso'), Buffer.alloc(300_000, 7));
mkdirSync(join(root, 'www/site'));
writeFileSync(join(root, 'www/site/index.html'), '<p>hello');
symlinkSync('../secret', join(root, 'www/way-out'));

const sent = new Arrivals<unknown>('a message to the link');
const HOST: LinkHost = {
  vmName: 'alpine 3',
  name: 'net0',
  index: 0,
  mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  mtu: 9000,
  pairs: 1,
  send: (message) => sent.put(message),
  trouble: (sentence) => assert.fail(sentence),
};

function opened(config: Partial<NetworkConfig> = {}): { backend: LinkBackend; it: UserOpened } {
  const backend = open({ kind: 'user', prefix: '10.77.2.0/24', prefix6: 'fd77::/64', ...config }, HOST);
  return { backend, it: backend.opened as UserOpened };
}

test('what is opened is plain data that another thread can have', () => {
  const { backend, it } = opened({ bootfile: 'pxe.0', dns: '192.0.2.53', isRestricted: true });
  const there = structuredClone(it);
  assert.equal(ipText(there.network.ipv4.host), '10.77.2.2');
  assert.equal(ipText(there.network.ipv6.dns), 'fd77::3');
  assert.equal(there.network.mtu, 9000);
  assert.equal(there.hostname, 'alpine-3');
  assert.equal(there.bootfile, 'pxe.0');
  assert.deepEqual(there.nameservers, [{ family: 'ipv4', address: Uint8Array.of(192, 0, 2, 53), port: 53 }]);
  backend.close(false);
});

test('a name server that is no address is an error that says what to write', () => {
  assert.throws(() => opened({ dns: 'dns.example' }), {
    name: 'UserError',
    message: 'the name server "dns.example" is no address: write it in numbers, as 192.0.2.1',
  });
});

test('a name server on an interface that the host has not is an error that names it', () => {
  for (const name of ['nosuch0', 'constructor', ''])
    assert.throws(() => opened({ dns: `fe80::1%${name}` }), {
      name: 'UserError',
      message: `the name server "fe80::1%${name}" is on "${name}", which is no interface with IPv6 of this host`,
    });
});

test('when one forward cannot be had, those before it are given back', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const path = join(root, 'ssh');
  const forwards = [
    { protocol: 'tcp' as const, hostPath: path, guestPort: 22 },
    { protocol: 'tcp' as const, hostPort: port, guestPort: 80 },
  ];
  assert.throws(() => opened({ forwards }), /the port is in use/);
  assert.equal(existsSync(path), false);
  server.close();
});

test('forwards come and go while the guest runs; the link is told of each socket', async () => {
  const { backend } = opened();
  const path = join(root, 'late');
  await backend.addForward?.({ protocol: 'tcp', hostPath: path, guestPort: 22 });
  const added = (await sent.take()) as { kind: string; forward: { id: number; guestPort: number } };
  assert.deepEqual([added.kind, added.forward.guestPort], ['addForward', 22]);
  await assert.rejects(
    async () => backend.addForward?.({ protocol: 'tcp', hostPath: path, guestPort: 22 }),
    /is forwarded already$/,
  );
  await assert.rejects(
    async () => backend.removeForward?.({ protocol: 'tcp', hostPort: 1, guestPort: 1 }),
    /^UserError: there is no forward of tcp:.*1:1; there are: tcp:unix:.*late:22$/,
  );
  await backend.removeForward?.({ protocol: 'tcp', hostPath: path, guestPort: 22 });
  assert.deepEqual(await sent.take(), { kind: 'removeForward', protocol: 'tcp', id: added.forward.id });
  assert.equal(existsSync(path), false);
  backend.close(true);
});

test('guest forwards lead to an address, or a unix socket', () => {
  const { backend, it } = opened({
    guestForwards: [
      { guestAddress: '10.77.2.100', guestPort: 80, hostPort: 8080 },
      { guestAddress: '10.77.2.2', guestPort: 5432, hostPath: '/run/db' },
    ],
  });
  assert.deepEqual(
    it.guestForwards.map(({ target }) => target),
    [
      { family: 'ipv4', address: Uint8Array.of(127, 0, 0, 1), port: 8080 },
      { family: 'unix', path: '/run/db' },
    ],
  );
  backend.close(false);
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

async function fetched(
  socketPath: string,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Answer> {
  const asked =
    method === 'GET'
      ? get({ socketPath, path, headers, agent: false }) // the next test's server has the same path
      : request({ socketPath, path, headers, method, agent: false }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) };
}

test('the HTTP folder is at port 80 of the virtual host, and serves files, ranges and lists', async () => {
  const { backend, it } = opened({ http: join(root, 'www') });
  assert.deepEqual(
    it.guestForwards.map(({ address, port }) => [ipText(address), port]),
    [
      ['10.77.2.2', 80],
      ['fd77::2', 80],
    ],
  );
  const { target } = it.guestForwards[0] ?? {};
  assert.ok(target?.family === 'unix');
  const at = target.path;

  const kernel = await fetched(at, '/boot/a%20kernel.efi');
  assert.deepEqual([kernel.status, kernel.body.toString()], [200, 'kernel of ten']);
  assert.equal(kernel.headers['content-type'], 'application/efi');
  assert.equal(kernel.headers['content-length'], '13');
  const head = await fetched(at, '/boot/a%20kernel.efi', {}, 'HEAD');
  assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '13', 0]);
  const part = await fetched(at, '/boot.iso', { Range: 'bytes=299990-' });
  assert.deepEqual(
    [part.status, part.headers['content-range'], part.body.length],
    [206, 'bytes 299990-299999/300000', 10],
  );
  assert.equal((await fetched(at, '/boot.iso', { Range: 'bytes=300000-' })).status, 416);
  const etag = kernel.headers.etag ?? '';
  assert.equal((await fetched(at, '/boot/a%20kernel.efi', { 'If-None-Match': etag })).status, 304);

  const list = await fetched(at, '/');
  assert.match(list.body.toString(), /<a href="boot\/">boot\/<\/a>/);
  assert.match((await fetched(at, '/boot/')).body.toString(), /<a href="a%20kernel\.efi">a kernel\.efi<\/a>/);
  assert.equal((await fetched(at, '/boot')).headers.location, '/boot/');
  assert.equal((await fetched(at, '/site/')).body.toString(), '<p>hello');

  const refused = [
    ['/none', 404],
    ['/../secret', 404], // there is none in the folder
    ['/%2e%2e/secret', 404],
    ['/way-out', 403],
    ['/%zz', 400],
    ['/%00', 403],
  ] as const;
  for (const [path, status] of refused) assert.equal((await fetched(at, path)).status, status, path);
  assert.equal((await fetched(at, '/', {}, 'PUT')).status, 405);
  backend.close(false);
  assert.equal(existsSync(at), false);
});

test('a name may be anything: links and redirects lead to it', async () => {
  const names = ['a:b', 'what?', '#1', '100%', '50%41', 'a&b "c"', 'ü'];
  for (const it of names) {
    mkdirSync(join(root, 'odd', it), { recursive: true });
    writeFileSync(join(root, 'odd', it, 'index.html'), it);
  }
  const { backend, it } = opened({ http: join(root, 'odd') });
  const { target } = it.guestForwards[0] ?? {};
  assert.ok(target?.family === 'unix');
  const list = (await fetched(target.path, '/')).body.toString();
  const links = [...list.matchAll(/href="([^"]*)"/g)].map((found) => found[1] ?? '');
  assert.equal(links.length, names.length);
  const base = 'http://10.77.2.2/';
  for (const link of links) {
    const { pathname, href } = new URL(link, base);
    assert.ok(href.startsWith(base), `${link} leads to ${href}`);
    const { body } = await fetched(target.path, pathname);
    assert.ok(names.includes(body.toString()), `${link} leads to ${body.toString()}`);
    const { headers } = await fetched(target.path, pathname.slice(0, -1));
    const { pathname: redirected, search, hash } = new URL(headers.location ?? '', base);
    assert.deepEqual([redirected, search, hash], [pathname, '', '']);
  }
  backend.close(false);
});

test('a client that goes away in the middle of a file is no trouble', async () => {
  const { backend, it } = opened({ http: join(root, 'www') });
  const { target } = it.guestForwards[0] ?? {};
  assert.ok(target?.family === 'unix');
  const client = connect(target.path);
  client.write('GET /boot.iso HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(client, 'data');
  client.destroy();
  assert.equal((await fetched(target.path, '/boot.iso')).body.length, 300_000);
  backend.close(false);
});

test('a range is one of bytes, cut to the file (RFC 9110 §14)', () => {
  assert.deepEqual(parseRange('bytes=0-', 10), { start: 0, end: 9 });
  assert.deepEqual(parseRange('bytes=2-3', 10), { start: 2, end: 3 });
  assert.deepEqual(parseRange('bytes=8-99', 10), { start: 8, end: 9 });
  assert.deepEqual(parseRange('bytes=-4', 10), { start: 6, end: 9 });
  assert.deepEqual(parseRange('bytes=-40', 10), { start: 0, end: 9 });
  assert.equal(parseRange('bytes=10-', 10), 'unsatisfiable');
  assert.equal(parseRange('bytes=-0', 10), 'unsatisfiable');
  assert.equal(parseRange('bytes=0-0', 0), 'unsatisfiable');
  for (const text of ['bytes=-', 'bytes=3-2', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=a-b'])
    assert.equal(parseRange(text, 10), undefined, text);
});

test('the guest’s questions have resolv.conf looked at', () => {
  const { backend } = opened();
  backend.onMessage?.({ kind: 'nameservers' });
  assert.deepEqual(sent.takeAll(), [], 'it has not changed');
  backend.close(false);
});
