/** A registry on this host that does what a test wants, also what no registry should. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Patience } from '../../../src/oci/registry/options.js';
import type { TestBlob, TestImage } from './image.js';

/** A registry of this host needs no long waits. */
export const IMPATIENT: Partial<Patience> = { connect: 5000, silence: 5000, firstPause: 1, longestPause: 2000 };

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Answers a request, or returns false to let the registry answer it. */
type Hook = (request: SeenRequest, response: ServerResponse) => boolean;

export interface TestRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly requests: SeenRequest[];
  /** Paths of the requests so far. */
  paths(): string[];
  /** Puts an image under a tag; `top` stands there in place of its manifest. */
  add(image: TestImage, tag: string, top?: TestBlob): void;
  addBlob(...blobs: readonly TestBlob[]): void;
  /** Asked first, the last one first. */
  hook(hook: Hook): void;
}

const NAME = 'test/image';

/** The reference of a tag in a registry. */
export function imageIn(registry: TestRegistry, tag: string): string {
  return `${registry.host}/${NAME}:${tag}`;
}

/** How often each blob was asked for. */
export function blobRequests(registry: TestRegistry): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const path of registry.paths().filter((path) => path.includes('/blobs/')))
    counts[path] = (counts[path] ?? 0) + 1;
  return counts;
}

export async function startRegistry(
  context: Pick<TestContext, 'after'>,
  tls?: { readonly cert: string; readonly key: string },
): Promise<TestRegistry> {
  const blobs = new Map<string, TestBlob>();
  const tags = new Map<string, TestBlob>();
  const hooks: Hook[] = [];
  const requests: SeenRequest[] = [];

  const answer: RequestListener = (message, response) => {
    let body = '';
    message.setEncoding('utf8').on('data', (piece: string) => {
      body += piece;
    });
    message.on('end', () => {
      const request = { method: message.method ?? '', path: message.url ?? '', headers: message.headers, body };
      requests.push(request);
      for (const hook of hooks.toReversed()) if (hook(request, response)) return;
      serve(request, response);
    });
  };

  const serve = ({ path, headers }: SeenRequest, response: ServerResponse): void => {
    if (path === '/v2/') {
      response.end('{}');
      return;
    }
    const [, kind, name = ''] = /^\/v2\/test\/image\/(manifests|blobs)\/(.+)$/.exec(path) ?? [];
    const blob = (kind === 'manifests' ? tags.get(name) : undefined) ?? blobs.get(name);
    if (kind === undefined || blob === undefined) sendError(response, 404, 'MANIFEST_UNKNOWN', 'not known');
    else sendBlob(response, blob, headers.range);
  };

  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const registry: TestRegistry = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    paths: () => requests.map(({ path }) => path),
    add: (image, tag, top) => {
      registry.addBlob(...image.blobs, ...(top === undefined ? [] : [top]));
      tags.set(tag, top ?? image.manifest);
    },
    addBlob: (...more) => {
      for (const blob of more) blobs.set(blob.digest, blob);
    },
    hook: (hook) => void hooks.push(hook),
  };
  return registry;
}

/** The answer of a registry that does what it should, with ranges. */
export function sendBlob(response: ServerResponse, { mediaType, bytes }: TestBlob, range?: string): void {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  const part = bytes.subarray(from);
  const type = mediaType.includes('layer') ? 'application/octet-stream' : mediaType;
  response.writeHead(from === 0 ? 200 : 206, {
    'content-type': type,
    'content-length': part.length,
    ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.end(part);
}

export function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}
