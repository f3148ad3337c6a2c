/** The certificates of a test control plane, made by openssl in one directory that only its owner reads. */

import { execFile } from 'node:child_process';
import { generateKeyPair } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificates {
  ca: string;
  serverCertificate: string;
  serverKey: string;
  /** A client of the group system:masters. */
  adminCertificate: string;
  adminKey: string;
  /** Signs the tokens of service accounts. */
  tokenKey: string;
}

/** Paths of new files in `directory`: a certificate authority, one server certificate for 127.0.0.1, one client's. */
export async function createCertificates(directory: string): Promise<Certificates> {
  const at = (name: string): string => join(directory, name);
  await Promise.all(['ca', 'server', 'admin', 'token'].map((name) => createKey(at(`${name}.key`))));
  const authority = [
    'req',
    '-x509',
    '-new',
    '-key',
    at('ca.key'),
    '-days',
    '2',
    '-subj',
    '/CN=test-ca',
    '-out',
    at('ca.crt'),
  ];
  await run('openssl', authority);
  await Promise.all([
    sign(
      directory,
      'server',
      '/CN=kube-apiserver',
      'extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1,DNS:localhost',
    ),
    sign(directory, 'admin', '/O=system:masters/CN=admin', 'extendedKeyUsage=clientAuth'),
  ]);
  return {
    ca: at('ca.crt'),
    serverCertificate: at('server.crt'),
    serverKey: at('server.key'),
    adminCertificate: at('admin.crt'),
    adminKey: at('admin.key'),
    tokenKey: at('token.key'),
  };
}

async function createKey(path: string): Promise<void> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  await writeFile(path, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
}

async function sign(directory: string, name: string, subject: string, extensions: string): Promise<void> {
  const at = (suffix: string): string => join(directory, `${name}.${suffix}`);
  const authority = (suffix: string): string => join(directory, `ca.${suffix}`);
  await writeFile(at('ext'), extensions);
  await run('openssl', ['req', '-new', '-key', at('key'), '-subj', subject, '-out', at('csr')]);
  // A serial number from the subject's own file keeps two signings at once apart.
  const issuer = ['-CA', authority('crt'), '-CAkey', authority('key'), '-CAserial', at('srl'), '-CAcreateserial'];
  await run('openssl', [
    'x509',
    '-req',
    '-in',
    at('csr'),
    ...issuer,
    '-days',
    '2',
    '-extfile',
    at('ext'),
    '-out',
    at('crt'),
  ]);
}
