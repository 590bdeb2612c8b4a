/** Root shells beside the application, each with its own connection to the host. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { mkdir, readFile, rename, symlink } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { ReadStream } from 'node:tty';
import { HANDSHAKE_SYNC, HANDSHAKE_WAIT } from '../../../../src/protocol/wire.js';
import { openPair } from '../../../helpers/pty.js';
import { INIT } from './driver.js';
import { scratch } from './machine.js';

/** The byte that each session writes to its terminal after opening it. */
const GREETING = '\n'.charCodeAt(0);

/** The host's end of a terminal with sessions. */
function openLine(t: TestContext): {
  path: string;
  heard: (byte: number, times: number) => Promise<void>;
  say: (byte: number) => void;
} {
  const { master, slave, path } = openPair({ rows: 24, columns: 80 });
  const screen = new ReadStream(master);
  let text = Buffer.alloc(0);
  let wake = () => {};
  screen.on('error', () => {});
  screen.on('data', (bytes: Buffer) => {
    text = Buffer.concat([text, bytes]);
    wake();
  });
  t.after(() => {
    screen.destroy();
    closeSync(slave);
  });
  return {
    path,
    heard: async (byte, times) => {
      while (text.filter((each) => each === byte).length < times) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    say: (byte) => void screen.write(Buffer.of(byte)),
  };
}

/** Starts it as process 1 does, with a pipe for its report, and returns the report, which is empty when it is ready. */
async function serve(t: TestContext, path: string): Promise<{ report: Buffer; pid: number; ended: Promise<unknown> }> {
  const child = spawn(INIT, ['--sessions', path], { stdio: ['ignore', 'ignore', 'inherit', 'pipe'], detached: true });
  const ended = once(child, 'exit');
  const pid = child.pid ?? assert.fail('it was not started');
  t.after(async () => {
    // The whole process group, with the process that serves the session.
    if (child.exitCode === null) process.kill(-pid, 'SIGKILL');
    await ended;
  });
  return { report: await buffer(child.stdio[3] as Readable), pid, ended };
}

describe('the session server', { timeout: 20_000 }, () => {
  test('needs no path once it is ready', async (t) => {
    const directory = await scratch(t);
    const line = openLine(t);
    await mkdir(join(directory, 'dev'));
    await symlink(line.path, join(directory, 'dev/tty3'));
    const { report, pid } = await serve(t, join(directory, 'dev/tty3'));
    assert.equal(report.length, 0);
    await line.heard(GREETING, 1);
    // Process 1 moves /dev like this when it changes its root.
    await rename(join(directory, 'dev'), join(directory, 'moved'));
    const [session] = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ');
    process.kill(Number(session), 'SIGKILL');
    await line.heard(GREETING, 2);
    line.say(HANDSHAKE_WAIT);
    await line.heard(HANDSHAKE_SYNC, 1);
  });

  test('reports a missing terminal', async (t) => {
    const missing = join(await scratch(t), 'nothing');
    const { report, ended } = await serve(t, join(missing, 'tty3'));
    await ended;
    assert.equal(report.readInt32LE(0), constants.errno.ENOENT);
    assert.equal(report.toString('utf8', 4).split('\0')[0], `open(${missing})`);
  });
});
