/** Stands before a registry, and does with its requests and answers what a test wants. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/**
 * What is done with a request. `stop`: nothing more comes after so many bytes of the answer, or is read after so many
 * of the request; `break`: likewise, and the connection ends.
 */
export type Interference =
  | { readonly kind: 'pass' }
  | { readonly kind: 'stop' | 'break'; readonly after: number }
  | { readonly kind: 'status'; readonly status: number };

export interface RegistryProxy {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** `GET /v2/…`, in order. */
  readonly requests: string[];
  /** Asked of each request from now on. */
  interfere(choose: (method: string, path: string) => Interference): void;
  /** Waits until a request was stopped. */
  stopped(): Promise<void>;
}

const PASS: Interference = { kind: 'pass' };

/** Whether the content of a request counts, and not that of its answer. */
const isUpload = (method: string): boolean => method === 'PUT' || method === 'PATCH';

/** @param behind host of the registry */
export async function startRegistryProxy(context: Pick<TestContext, 'after'>, behind: string): Promise<RegistryProxy> {
  const requests: string[] = [];
  let choose: (method: string, path: string) => Interference = () => PASS;
  let onStopped = () => {};
  const stopped = new Promise<void>((resolve) => {
    onStopped = resolve;
  });
  const server = createServer((message, response) => {
    const { method = '', url = '' } = message;
    requests.push(`${method} ${url}`);
    const way = choose(method, url);
    if (way.kind === 'status') {
      message.resume();
      response.writeHead(way.status).end();
    } else pass(message, response, behind, way, onStopped);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    interfere: (chosen) => {
      choose = chosen;
    },
    stopped: () => stopped,
  };
}

function pass(
  message: IncomingMessage,
  response: ServerResponse,
  behind: string,
  way: Exclude<Interference, { kind: 'status' }>,
  onStopped: () => void,
): void {
  const [host, port] = behind.split(':');
  const { method, url, headers } = message;
  // Its Host stays, so that the registry leads uploads back to here.
  const forward = request({ host, port, method, path: url, headers });
  let bytes = 0;
  /** Whether this is as far as it goes. */
  const isOver = (chunk: Buffer): boolean => {
    bytes += chunk.length;
    if (way.kind === 'pass' || bytes <= way.after) return false;
    onStopped();
    if (way.kind === 'break') message.socket.destroy();
    forward.destroy();
    return true;
  };
  const goesUp = isUpload(method ?? '');
  forward.on('error', () => {
    if (way.kind === 'pass') response.destroy();
  });
  forward.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.on('data', (chunk: Buffer) => {
      if (!goesUp && isOver(chunk)) answer.pause();
      else response.write(chunk);
    });
    answer.on('end', () => response.end());
  });
  message.on('data', (chunk: Buffer) => {
    if (goesUp && isOver(chunk)) message.pause();
    else forward.write(chunk);
  });
  message.on('end', () => forward.end());
}
