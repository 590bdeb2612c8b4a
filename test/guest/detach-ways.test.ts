/** Detached sandboxes of ordinary users, and those with the common init in the guest. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connectSandbox } from '../../src/index.js';
import { embedded } from '../helpers/connections.js';
import { type GuestInit, guestInit } from '../helpers/guest-init.js';
import { assertNothingLeft, uniqueName, type WhereLeft } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { programOf } from '../helpers/programs.js';
import { type RunOptions, runSandbox } from '../helpers/run.js';

/** What staying.ts prints. */
interface Said {
  readonly isListed: boolean;
  readonly stdout: string;
  readonly log: string;
  readonly holderBytes: number;
  readonly memoryBytes: number;
  readonly processes: number;
  readonly pid: number;
  readonly detached: boolean;
  readonly exitCode: number;
}

async function detached(args: readonly string[], options: RunOptions): Promise<string> {
  const name = uniqueName();
  const app = ['sh', '-c', 'id -u; exec sleep 1000'];
  const started = await runSandbox([...args, '--detach', '-n', name, '--', ...app], options);
  assert.deepEqual([started.code, started.out, started.stderr], [0, `${name}\n`, '']);
  return name;
}

/** Talks to a sandbox and stops it, as the user that it runs as. */
async function assertStays(name: string, uid: number, options: RunOptions, where: WhereLeft): Promise<void> {
  const result = await runSandbox([programOf('staying'), name], { ...options, program: process.execPath });
  assert.equal(result.code, 0, result.stderr);
  const { holderBytes, memoryBytes, pid, ...said } = JSON.parse(result.out) as Said;
  const expected = {
    isListed: true,
    stdout: `${uid}\nx`,
    log: `${uid}\n`,
    processes: 1,
    detached: true,
    exitCode: 143,
  };
  assert.deepEqual(said, expected);
  assert.ok(holderBytes > 0 && holderBytes <= 60e6, `${holderBytes} bytes`);
  assert.ok(memoryBytes > 1 << 20, `${memoryBytes} bytes`);
  // The test's own time limit ends it.
  while (existsSync(`/proc/${pid}`)) await delay(20);
  await assertNothingLeft(name, where);
}

describe('a detached sandbox of an ordinary user', { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  for (const uri of ['qemu:///session', embedded.uri]) {
    it(`over ${uri}`, async () => {
      const name = await detached(['-c', uri], user.options);
      await assert.rejects(connectSandbox(name), { code: 'sandbox-not-found' });
      await assertStays(name, user.uid, user.options, user.where);
    });
  }
});

describe('a detached sandbox with the common init in the guest', { skip: embedded.skip }, () => {
  let image: GuestInit;
  before(async () => {
    image = await guestInit();
  });
  after(() => image.remove());

  it('is as any other', async () => {
    const { args, env } = image;
    const name = await detached(['-c', embedded.uri, ...args], { env });
    await assertStays(name, 0, { env }, embedded.where);
  });
});
