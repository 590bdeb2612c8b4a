/** scripts/test-daemons.mjs ends what it starts, also a daemon that does not want to. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { unlessProgram } from '../../helpers/images.js';
import { REPOSITORY } from '../../helpers/run.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const { daemon, end, reaped, until } = (await import(
  pathToFileURL(join(REPOSITORY, 'scripts/test-daemons.mjs')).href
)) as {
  daemon: (...command: string[]) => ChildProcess;
  end: (child: ChildProcess, stopMs?: number) => Promise<void>;
  reaped: (...command: string[]) => string[];
  until: (ready: () => Promise<boolean>, children: ChildProcess[], signal?: AbortSignal) => Promise<void>;
};

it('a daemon behind tini that ignores SIGTERM is killed', {
  skip: unlessProgram('tini'),
  timeout: 20_000,
}, async (t) => {
  const path = join(scratchDirectory(t), 'socket');
  const server = createServer();
  await once(server.listen(path), 'listening');
  t.after(() => server.close());
  const program = `process.on('SIGTERM', () => {}); require('node:net').connect(process.argv[1]).write(String(process.pid));`;
  const child = daemon(...reaped(process.execPath, '-e', program, path));
  const [socket] = (await once(server, 'connection')) as [Socket];
  t.after(() => socket.destroy());
  const [bytes] = await once(socket, 'data');
  const closed = once(socket.resume(), 'close');
  await end(child, 100);
  await closed;
  while (existsSync(`/proc/${bytes}`)) await delay(10);
});

it('a wait for a daemon is given up', async () => {
  const ending = new AbortController();
  const waiting = until(async () => false, [], ending.signal);
  ending.abort(new Error('told to'));
  await assert.rejects(waiting, /told to/);
});
