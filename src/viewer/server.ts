/** Serves the page that shows a screen, and bridges it to that screen, on 127.0.0.1. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import { MOST_BYTES } from '../rfb/client-messages.js';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import { settlesWithin } from '../util/promises.js';
import { Bridge, type BridgeOptions } from './bridge.js';
import { BUSY, ENDED, LOST, STOPPED } from './closings.js';
import { ADDRESS, isForHost, isOfOwnPage, SAFE_HEADERS } from './headers.js';
import { type PageFile, readPage } from './page-files.js';
import { Proof, Token } from './token.js';

/** Pages that are shown the screen at once. */
export const MOST_PAGES = 8;
/** Connections, also of those who have no token. */
const MOST_CONNECTIONS = 64;

const HEADER_BYTES = 8192;
/** In milliseconds. */
const HEADERS_MS = 5000;
const REQUEST_MS = 10_000;
const IDLE_MS = 5000;
const CHECK_MS = 1000;

/** How long pages that have just lost their connection may take to come back and be told of the end. */
const LINGER_MS = 3000;
/** How long pages may take to hear why they are closed. */
const CLOSING_MS = 1500;

const NONCE = /^\?nonce=([0-9a-f]{32})$/;

export interface ViewerOptions extends BridgeOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** What the page calls the sandbox. */
  readonly name: string;
  /** The page has been asked for. */
  readonly onPage?: () => void;
}

export class ViewerServer {
  readonly #options: ViewerOptions;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MOST_BYTES,
    perMessageDeflate: false,
    clientTracking: false,
  });
  readonly #token = new Token();
  readonly #proof = new Proof();
  readonly #files: ReadonlyMap<string, PageFile>;
  readonly #bridges = new Set<Bridge>();
  /** When a page was last cut off, on the clock of performance.now(). */
  #lastLost = Number.NEGATIVE_INFINITY;
  #closing: number | undefined;

  private constructor(options: ViewerOptions) {
    this.#options = options;
    this.#files = readPage({ name: options.name, clipboard: options.clipboard, key: this.#proof.key });
    this.#server = createServer({
      maxHeaderSize: HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: CHECK_MS,
    });
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.#server.maxRequestsPerSocket = 100;
    this.#server.setTimeout(REQUEST_MS);
    this.#server.on('request', (request, response) => this.#answer(request, response));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on('clientError', (_error, socket) => void socket.destroy());
  }

  /** @throws {SandboxError} `port-not-usable`, `not-built` */
  static async listen(options: ViewerOptions): Promise<ViewerServer> {
    const viewer = new ViewerServer(options);
    await new Promise<void>((resolve, reject) => {
      viewer.#server.once('error', reject);
      viewer.#server.listen(options.port, ADDRESS, resolve);
    }).catch((error: unknown) => {
      throw portError(options.port, error);
    });
    return viewer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://${ADDRESS}:${this.port}${this.#path}`;
  }

  get #path(): string {
    return `/${this.#token.text}/`;
  }

  /** Tells the pages why, and resolves when nobody is connected any more. */
  async close(why: 'ended' | 'stopped'): Promise<void> {
    this.#closing = why === 'ended' ? ENDED : STOPPED;
    for (const bridge of this.#bridges) bridge.close(this.#closing);
    const lingering = this.#lastLost + LINGER_MS - performance.now();
    if (why === 'ended' && lingering > 0) await delay(lingering);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const told = (async () => {
      while (this.#bridges.size > 0) await delay(10);
    })();
    await settlesWithin(told, CLOSING_MS);
    this.#server.closeAllConnections();
    await settlesWithin(closed, CLOSING_MS);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value);
    const file = this.#files.get(this.#rest(request) ?? 'nothing');
    const isGet = request.method === 'GET';
    if (file === undefined || !isGet) {
      const refusal = file === undefined ? { status: 404 } : { status: 405, allow: { Allow: 'GET' } };
      // Nothing of its body is read.
      response.writeHead(refusal.status, { ...refusal.allow, 'Content-Length': 0, Connection: 'close' }).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': file.type, 'Content-Length': file.content.length }).end(file.content);
    if (file.isPage) this.#options.onPage?.();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => {});
    const [, nonce] = NONCE.exec(this.#rest(request)?.slice('screen'.length) ?? '') ?? [];
    const isScreen = this.#rest(request)?.startsWith('screen?') === true;
    if (request.method !== 'GET' || !isScreen || nonce === undefined || !isOfOwnPage(request)) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () => socket.destroy());
      return;
    }
    // The bridge looks after one that is slow.
    (socket as Partial<{ setTimeout: (milliseconds: number) => void }>).setTimeout?.(0);
    this.#sockets.handleUpgrade(request, socket, head, (page) => {
      const bridge = new Bridge(page, this.#options);
      page.send(this.#proof.of(nonce));
      if (this.#closing !== undefined || this.#bridges.size >= MOST_PAGES) {
        page.on('error', () => {});
        bridge.close(this.#closing ?? BUSY);
        return;
      }
      this.#bridges.add(bridge);
      page.once('close', (code) => {
        this.#bridges.delete(bridge);
        if (code === LOST) this.#lastLost = performance.now();
      });
      void bridge.carry();
    });
  }

  /** What the path has behind the token; undefined: it has no such token, or the request is not for this host. */
  #rest(request: IncomingMessage): string | undefined {
    const [, token = '', ...rest] = (request.url ?? '').split('/');
    const isToken = this.#token.is(token);
    return isToken && rest.length === 1 && isForHost(request, this.port) ? rest[0] : undefined;
  }
}

function portError(port: number, error: unknown): SandboxError {
  const isTaken = isSystemError(error, 'EADDRINUSE');
  return new SandboxError({
    stage: 'application',
    code: 'port-not-usable',
    message: `the page cannot be served at port ${port} of ${ADDRESS}: ${isTaken ? 'it is in use' : messageOf(error)}`,
    remedy: 'give another --port, or none',
    cause: error,
  });
}
