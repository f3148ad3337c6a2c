/** Writes an image without a container engine: one layer out of a tar of its root file system, under any number of names. */

import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress } from 'node:zlib';
import type { Context } from './context.ts';

export interface ImageConfig {
  /** Full names: `registry.k8s.io/pause:3.10`. */
  readonly references: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly path?: string;
}

/** Go's names of the processors that Node names otherwise. */
const GO_ARCHITECTURE: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Makes `archive`, which `ctr images import` takes, from `rootTar`. */
export async function writeOciArchive(
  context: Context,
  archive: string,
  rootTar: string,
  image: ImageConfig,
  log: string,
) {
  const layout = `${archive}.layout`;
  const blobs = join(layout, 'blobs/sha256');
  await rm(layout, { recursive: true, force: true });
  await mkdir(blobs, { recursive: true });
  const layer = await writeLayer(blobs, rootTar);
  const config = await writeBlob(blobs, 'application/vnd.oci.image.config.v1+json', {
    architecture: GO_ARCHITECTURE[process.arch] ?? process.arch,
    os: 'linux',
    config: {
      Env: [`PATH=${image.path ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}`],
      ...(image.entrypoint ? { Entrypoint: image.entrypoint } : {}),
    },
    rootfs: { type: 'layers', diff_ids: [layer.diffId] },
  });
  const manifest = await writeBlob(blobs, 'application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: [layer.descriptor],
  });
  const manifests = image.references.map((name) => ({
    ...manifest,
    annotations: { 'io.containerd.image.name': name },
  }));
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await context.run('tar', ['-C', layout, '-cf', archive, '.'], { log });
  await rm(layout, { recursive: true });
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

async function writeBlob(blobs: string, mediaType: string, content: object): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(content));
  const hex = createHash('sha256').update(bytes).digest('hex');
  await writeFile(join(blobs, hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}

async function writeLayer(blobs: string, rootTar: string): Promise<{ descriptor: Descriptor; diffId: string }> {
  const plain = createHash('sha256');
  const packed = createHash('sha256');
  const file = join(blobs, 'layer');
  await pipeline(
    createReadStream(rootTar),
    hashing(plain),
    createZstdCompress(),
    hashing(packed),
    createWriteStream(file),
  );
  const hex = packed.digest('hex');
  await rename(file, join(blobs, hex));
  const { size } = await stat(join(blobs, hex));
  const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd', digest: `sha256:${hex}`, size };
  return { descriptor, diffId: `sha256:${plain.digest('hex')}` };
}

function hashing(hash: Hash) {
  return async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
}
