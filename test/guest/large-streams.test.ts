/** Much through a sandbox: byte for byte, while the launcher keeps none of it, and nothing is made that nobody reads. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { uniqueName } from '../helpers/leftovers.js';
import { environment, PROGRAM } from '../helpers/run.js';

const MIB = 1 << 20;
const SIZE = 1024 * MIB;
/** What the launcher may take more for it. */
const MOST_MORE = 64 * MIB;
/** After how many bytes its memory is looked at. */
const LOOK = 32 * MIB;
/** How long a producer is given to make what nobody reads, in milliseconds: enough for all of it. */
const PAUSE_MS = 3000;

type Sandbox = ChildProcessByStdio<Writable, Readable, Readable>;

function start(context: TestContext, script: string): Sandbox {
  const args = ['-c', embedded.uri, ...ACCEL, '-n', uniqueName(), '--', 'sh', '-c', script];
  const sandbox = spawn(PROGRAM, args, { env: environment(), stdio: ['pipe', 'pipe', 'pipe'] });
  context.after(() => sandbox.kill('SIGTERM'));
  return sandbox;
}

/** The most memory that a process has had so far, in bytes: proc_pid_status(5). */
function memory(pid: number | undefined): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** Bytes of every value, in random order, and their digest when all were taken. */
function noise() {
  const hash = createHash('sha256');
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, 7), Buffer.alloc(16));
  const zeros = Buffer.alloc(MIB);
  function* pieces() {
    for (let made = 0; made < SIZE; made += MIB) {
      const piece = cipher.update(zeros);
      hash.update(piece);
      yield piece;
    }
  }
  return { stream: Readable.from(pieces()), hash };
}

describe('much through a sandbox', { skip: embedded.skip }, () => {
  it('a GiB comes back as it was, and the launcher takes 64 MiB more at most', async (t) => {
    const sandbox = start(t, 'echo up; cat');
    const ended = once(sandbox, 'close');
    await once(sandbox.stdout, 'readable');
    assert.equal(sandbox.stdout.read().toString(), 'up\n');
    const before = memory(sandbox.pid);
    const { stream, hash } = noise();
    const came = createHash('sha256');
    let [length, looked, most] = [0, 0, 0];
    sandbox.stdout.on('data', (piece: Buffer) => {
      length += piece.length;
      came.update(piece);
      // It has not ended while some is still to come.
      if (length < SIZE && length > looked + LOOK) {
        looked = length;
        most = memory(sandbox.pid);
      }
    });
    await pipeline(stream, sandbox.stdin);
    assert.deepEqual(await ended, [0, null]);
    assert.equal(length, SIZE);
    assert.equal(came.digest('hex'), hash.digest('hex'));
    assert.ok(
      looked > SIZE - 2 * LOOK && most - before <= MOST_MORE,
      `${before} bytes before, at most ${most} meanwhile`,
    );
  });

  it('a program whose output nobody reads waits', async (t) => {
    const [pieces, size] = [64, 4 * MIB];
    const sandbox = start(t, `for n in $(seq ${pieces}); do head -c ${size} /dev/zero; echo $n >&2; done`);
    const ended = once(sandbox, 'close');
    let told = '';
    sandbox.stderr.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
    // The first bytes are there, and no more is taken than this process reads ahead.
    await once(sandbox.stdout, 'readable');
    await sleep(PAUSE_MS);
    // Less than two pieces are on the way: a pipe, a window, and what the launcher and this process hold.
    assert.doesNotMatch(told, /^2$/m);
    const most = memory(sandbox.pid);
    let length = 0;
    for await (const piece of sandbox.stdout as AsyncIterable<Buffer>) length += piece.length;
    assert.deepEqual([length, await ended], [pieces * size, [0, null]]);
    assert.match(told, new RegExp(`^${pieces}$`, 'm'));
    assert.ok(most < 256 * MIB, `${most} bytes`);
  });
});
