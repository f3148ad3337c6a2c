import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { renewCertificate } from '../../../src/gateway/server.ts';
import { type CertificateFiles, certificateFiles, readCertificate, watchCertificate } from '../../../src/roles/tls.ts';
import { createCertificates } from '../../support/certificates.ts';
import { FakeClock } from '../../support/clock.ts';
import { aWorld } from '../../support/gateway-world.ts';

let directory: string;
let files: CertificateFiles;
const stop: (() => unknown)[] = [];

/** Two pairs of certificate and key: that of a server, and another. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'coderun-tls-'));
  await createCertificates(directory);
});
afterAll(async () => {
  for (const task of stop) await task();
  await rm(directory, { recursive: true });
});

beforeEach(async () => {
  files = { cert: join(directory, 'tls.crt'), key: join(directory, 'tls.key') };
  await replaceBy('server');
});

async function replaceBy(name: 'server' | 'admin'): Promise<void> {
  await copyFile(join(directory, `${name}.crt`), files.cert);
  await copyFile(join(directory, `${name}.key`), files.key);
}

async function serving() {
  const certificate = await readCertificate(files);
  const world = aWorld({ certificate });
  await world.app.listen({ host: '127.0.0.1', port: 0 });
  stop.push(async () => {
    world.app.server.closeAllConnections();
    await world.app.close();
  });
  return { ...world, certificate, port: (world.app.server.address() as AddressInfo).port };
}

async function opened(port: number, options = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

async function subjectSeen(port: number): Promise<unknown> {
  const socket = await opened(port);
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return CN;
}

test('the gateway speaks HTTPS, of TLS 1.2 and later, where it has a certificate', async () => {
  const { port } = await serving();
  const socket = await opened(port);
  socket.write('GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const [first] = (await once(socket, 'data')) as [Buffer];
  expect(String(first)).toMatch(/^HTTP\/1.1 200 /);
  await expect(opened(port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' })).rejects.toThrow();
});

test('a gateway with only one of the two files does not start, and one with none speaks plain HTTP', () => {
  const filesOf = (environment: Record<string, string>) => certificateFiles(loadConfig(environment));
  expect(() => filesOf({ CODERUN_TLS_CERT_FILE: 'tls.crt' })).toThrow('Set both of CODERUN_TLS_CERT_FILE');
  expect(() => filesOf({ CODERUN_TLS_KEY_FILE: 'tls.key' })).toThrow('Set both of CODERUN_TLS_CERT_FILE');
  expect(filesOf({})).toBeUndefined();
});

test('plain HTTP there is no answer', async () => {
  const { port } = await serving();
  const socket = connectPlain({ port, host: '127.0.0.1' });
  let received = '';
  socket.on('data', (chunk) => {
    received += String(chunk);
  });
  socket.write('GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n');
  await once(socket, 'close');
  expect(received).not.toContain('HTTP/1.1 200');
});

test('a certificate that is replaced is shown from then on; a broken or half-replaced one is passed over', async () => {
  const { app, port, certificate } = await serving();
  const clock = new FakeClock();
  const end = new AbortController();
  const warnings: unknown[] = [];
  const renewals = Array.from({ length: 2 }, () => Promise.withResolvers<void>());
  const next = renewals.values();
  const log = {
    info: () => next.next().value?.resolve(),
    warn: (entry: unknown) => warnings.push(entry),
  } as unknown as Parameters<typeof watchCertificate>[2]['log'];
  const watching = watchCertificate(files, (renewed) => renewCertificate(app, renewed), {
    current: certificate,
    clock,
    log,
    signal: end.signal,
  });
  /** Reading the files takes real time. */
  const look = async (done: () => boolean) => {
    await clock.advance(10_000);
    for (let turn = 0; turn < 500 && !done(); turn++) await new Promise((resolve) => setTimeout(resolve, 2));
  };
  expect(await subjectSeen(port)).toBe('kube-apiserver');

  await copyFile(join(directory, 'admin.crt'), files.cert);
  await look(() => warnings.length === 1);
  await look(() => warnings.length === 2);
  await writeFile(files.cert, 'nonsense');
  await look(() => warnings.length === 3);
  expect([warnings.length, await subjectSeen(port)]).toEqual([3, 'kube-apiserver']);

  await replaceBy('admin');
  await look(() => clock.pending === 1);
  await renewals[0]?.promise;
  expect(await subjectSeen(port)).toBe('admin');
  end.abort();
  await watching;
});
