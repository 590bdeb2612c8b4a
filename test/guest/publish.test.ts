/** Published ports: a real service inside, and real clients on this host, over every way to libvirt. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { embedded, lxc, system } from '../helpers/connections.js';
import { assertNothingLeft } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { REPOSITORY, type RunOptions, runSandbox } from '../helpers/run.js';

/** How many requests, and mebibytes each way. */
const [REQUESTS, MEBIBYTES] = [60, 4];

/** What publishing.ts prints. @returns the name of its sandbox */
async function publish(uri: string, options: RunOptions): Promise<string> {
  const program = `${REPOSITORY}build/test/helpers/publishing.js`;
  const result = await runSandbox([program, uri, String(REQUESTS), String(MEBIBYTES)], {
    ...options,
    program: process.execPath,
    timeout: 300_000,
  });
  assert.equal(result.code, 0, result.stderr);
  const { name, ...said } = JSON.parse(result.out) as Record<string, unknown>;
  assert.deepEqual(said, {
    url: true,
    echo: 'hello',
    six: 'six',
    reset: 'ECONNRESET',
    refused: 'ECONNRESET',
    other: ['ECONNREFUSED'],
    udp: 'hello',
    udpLarge: true,
    udpClients: 20,
    udpOther: ['ECONNREFUSED'],
    taken: 'port-taken',
    whole: REQUESTS,
    up: true,
    down: true,
    cut: 'ECONNRESET',
    gone: 'ECONNREFUSED',
    late: 'sandbox-ended',
    udpGone: 'ECONNREFUSED',
  });
  return String(name);
}

for (const way of [embedded, system, lxc]) {
  it(`over ${way.uri}`, { skip: way.skip }, async () => {
    await assertNothingLeft(await publish(way.uri, way.options), way.where);
  });
}

describe('an ordinary user', { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  it('over qemu:///session', async () => {
    await assertNothingLeft(await publish('qemu:///session', user.options), user.where);
  });
});
