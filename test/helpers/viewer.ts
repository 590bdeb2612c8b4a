/** virt-sandbox-ctl view, as it runs. */
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type How, startCtl } from './ctl.js';
import type { Running } from './run.js';

const URL_LINE = /^(http:\/\/127\.0\.0\.1:\d+\/([A-Za-z0-9_-]{43})\/)\n$/;

/** Starts it, and ends it after the test. */
export async function startView(
  t: TestContext,
  words: readonly string[],
  how: How = {},
): Promise<{ url: string; token: string; port: number; running: Running }> {
  const running = startCtl(['view', ...words], how);
  t.after(async () => {
    running.child.kill('SIGTERM');
    await running.result;
  });
  const [, url = '', token = ''] = await running.until(URL_LINE);
  return { url, token, port: Number(new URL(url).port), running };
}

/** Stands between viewers and the socket of a screen, where their connections can be cut, until they are let in again. */
export async function wayTo(t: TestContext, path: string): Promise<{ cut(): void; open(): void }> {
  const behind = `${path}-behind`;
  renameSync(path, behind);
  const ends = new Set<Socket>();
  let isOpen = true;
  const server = createServer((viewer) => {
    if (!isOpen) {
      viewer.destroy();
      return;
    }
    const screen = connect(behind);
    for (const [end, other] of [
      [viewer, screen],
      [screen, viewer],
    ] as const) {
      ends.add(end.on('error', () => {}).on('close', () => other.destroy()));
      end.pipe(other);
    }
  });
  await once(server.listen(path), 'listening');
  t.after(() => server.close());
  return {
    cut: () => {
      isOpen = false;
      for (const end of ends) end.destroy();
    },
    open: () => {
      isOpen = true;
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Asks for a path. */
export function ask(
  port: number,
  path: string,
  { method = 'GET', headers = {} }: { readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    // A server that wants none says so.
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: '' });
    });
    request.on('error', reject);
    request.end();
  });
}

/** What a page sends to connect to the screen. */
export function upgrading(origin: string | undefined): Record<string, string> {
  return {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...(origin === undefined ? {} : { Origin: origin }),
  };
}

export const SCREEN = `screen?nonce=${'0'.repeat(32)}`;
