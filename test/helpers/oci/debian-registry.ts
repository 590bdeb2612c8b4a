/** Debian's registry (docker-registry), on this host and in memory, and how an image gets into it. */
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import type { Digest } from '../../../src/oci-names/digest.js';
import { scratchDirectory } from '../scratch.js';
import type { TestBlob, TestImage } from './image.js';

/** A reason to skip, or false if the registry is installed. */
export function unlessDebianRegistry(): string | false {
  try {
    execFileSync('docker-registry', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'docker-registry is not installed';
  }
}

export interface DebianRegistry {
  readonly host: string;
  push(repository: string, tag: string, image: TestImage, top?: TestBlob): Promise<void>;
  /** Bytes of these blobs that it has sent so far, as it says itself. */
  served(blobs: readonly Digest[]): Promise<number>;
}

export interface DebianRegistryOptions {
  /** Its lines: then the registry wants the user and password `me`, `secret`. */
  readonly htpasswd?: string;
  /** The directory that its files are below. */
  readonly above?: string;
}

export async function startDebianRegistry(
  context: Pick<TestContext, 'after'>,
  { htpasswd, above }: DebianRegistryOptions = {},
): Promise<DebianRegistry> {
  const directory = scratchDirectory(context, above);
  const config = {
    version: 0.1,
    log: { level: 'info', formatter: 'text' },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    http: { addr: '127.0.0.1:0', secret: 'test' },
    ...(htpasswd === undefined ? {} : { auth: { htpasswd: { realm: 'test', path: join(directory, 'htpasswd') } } }),
  };
  if (htpasswd !== undefined) writeFileSync(join(directory, 'htpasswd'), htpasswd);
  writeFileSync(join(directory, 'config.yml'), JSON.stringify(config));
  const server = spawn('docker-registry', ['serve', join(directory, 'config.yml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  context.after(async () => {
    server.kill();
    await ended;
  });
  const host = await new Promise<string>((resolve, reject) => {
    let log = '';
    const onLog = (text: string) => {
      log += text;
      const found = /listening on (127\.0\.0\.1:\d+)/.exec(log);
      if (found?.[1] !== undefined) resolve(found[1]);
    };
    server.stdout.setEncoding('utf8').on('data', onLog);
    server.stderr.setEncoding('utf8').on('data', onLog);
    server.once('exit', () => reject(new Error(`docker-registry ended: ${log}`)));
  });
  const headers: Record<string, string> =
    htpasswd === undefined ? {} : { authorization: `Basic ${Buffer.from('me:secret').toString('base64')}` };
  const send = async (method: string, url: string, body: Buffer | undefined, type: string): Promise<Response> => {
    const answer = await fetch(url, {
      method,
      headers: { ...headers, 'content-type': type },
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
    return answer;
  };
  const sent: { readonly path: string; readonly bytes: number }[] = [];
  const log = createInterface(server.stdout);
  log.on('line', (line) => {
    const [, path, bytes] = /"GET (\S+) [^"]*" \d+ (\d+)/.exec(line) ?? [];
    if (path !== undefined) sent.push({ path, bytes: Number(bytes) });
  });
  const served: DebianRegistry['served'] = async (blobs) => {
    // When it has told of this, it has told of all before.
    const mark = `/v2/?mark=${randomUUID()}`;
    await send('GET', `http://${host}${mark}`, undefined, 'application/json');
    while (!sent.some(({ path }) => path === mark)) await once(log, 'line');
    return sent
      .filter(({ path }) => blobs.some((digest) => path.endsWith(`/blobs/${digest}`)))
      .reduce((sum, { bytes }) => sum + bytes, 0);
  };
  const push: DebianRegistry['push'] = async (repository, tag, image, top) => {
    const base = `http://${host}/v2/${repository}`;
    for (const { digest, bytes } of [image.config, ...image.layers]) {
      const started = await send('POST', `${base}/blobs/uploads/`, undefined, 'application/json');
      const place = new URL(started.headers.get('location') ?? '', base);
      place.searchParams.set('digest', digest);
      await send('PUT', place.href, bytes, 'application/octet-stream');
    }
    const { manifest } = image;
    await send(
      'PUT',
      `${base}/manifests/${top === undefined ? tag : manifest.digest}`,
      manifest.bytes,
      manifest.mediaType,
    );
    if (top !== undefined) await send('PUT', `${base}/manifests/${tag}`, top.bytes, top.mediaType);
  };
  return { host, push, served };
}
