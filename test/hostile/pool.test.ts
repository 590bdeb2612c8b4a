/**
 * Promise: a guest that attacks while it is made ready for a pool, or before it answers whoever takes it, is discarded.
 * Nobody gets it, it costs the program no more than 64 MiB, and nothing of it is left.
 * The attacker is the init of a machine. The victim is a program with a pool.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { type HostileGuest, MOST_MEMORY, makeHostileGuest } from '../helpers/hostile-guest.js';
import { unlessProgram } from '../helpers/images.js';
import { processesWith } from '../helpers/leftovers.js';
import { REPOSITORY, runSandbox } from '../helpers/run.js';

const POOLING = `${REPOSITORY}build/test/helpers/pooling-hostile.js`;
const skip = embedded.skip || unlessProgram('make', 'gcc');

/** `silent` is none, so the guest says nothing any more. */
const ATTACKS = ['garbage', 'exit-twice', 'no-number', 'silent'];

/**
 * What becomes of a program whose sandboxes are all of no use. When an attack is seen depends on how fast the host is:
 * while the first one is made ready (told as it is), while it waits, when it is taken, or by the first command.
 */
const FAILURES = ['guest-gone', 'guest-silent', 'process-lost', 'spawn-failed', 'pool-refill-failed'];

describe('a pool of guests that attack', { skip, concurrency: 2 }, () => {
  let guest: HostileGuest;
  let idle = 0;

  const run = async (order: string) => {
    const result = await runSandbox([POOLING, guest.program, embedded.uri, order], {
      program: process.execPath,
      env: guest.env,
      timeout: 180_000,
    });
    assert.equal(result.code, 0, result.stderr);
    return JSON.parse(result.out) as { readonly said: string; readonly memory: number };
  };

  before(async () => {
    guest = await makeHostileGuest(embedded.uri);
    idle = guest.idle;
  });
  after(() => {
    const { env } = guest;
    guest.remove();
    // Each has the path of the store in its command line.
    assert.deepEqual(processesWith(env.XDG_CACHE_HOME), []);
  });

  for (const word of ['LATER', 'ATTACK'])
    for (const name of ATTACKS)
      it(`${word === 'LATER' ? 'when they are taken' : 'before'}: ${name}`, async () => {
        const seed = Math.floor(Math.random() * 1e9);
        const { said, memory } = await run(`${word}=${name}:${seed}`);
        assert.ok(FAILURES.includes(said), `${said}: ${word}=${name}:${seed}`);
        assert.ok(memory < idle + 2 * MOST_MEMORY, `${memory} bytes, and ${idle} of an idle launcher`);
      });
});
