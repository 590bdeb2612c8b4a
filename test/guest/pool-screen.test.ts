/** Sandboxes that wait with a screen: each is seen and typed into by itself. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Sandbox } from '../../src/index.js';
import { ACCELERATION } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { BLUE, partOf, unlessDesktop, untilShows, untilWritten } from '../helpers/desktop.js';
import { Viewer } from '../helpers/rfb.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';
import { poolOf } from '../helpers/taking.js';

const NOBODY = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/nonexistent', groups: [] };
const RED = '#654321';

/** A terminal that keeps what is typed. */
async function open(sandbox: Sandbox, colour: string): Promise<void> {
  const script = 'read -r line; printf %s "$line" >/tmp/typed; while :; do sleep 1000; done';
  const { stdin } = await sandbox.spawn(['xterm', '-bg', colour, '-fg', 'white', '-e', 'sh', '-c', script]);
  stdin.end();
}

describe('a pool with screens', { skip: embedded.skip || unlessDesktop() }, () => {
  const { env, remove } = privateStore();
  const { XDG_CACHE_HOME: usual } = process.env;
  before(async () => {
    process.env['XDG_CACHE_HOME'] = env.XDG_CACHE_HOME;
    await bakeSnapshot(['-c', embedded.uri], { env }, ['--graphics']);
  });
  after(() => {
    if (usual === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = usual;
    remove();
  });

  it('gives sandboxes that are seen and typed into, each by itself', async (t) => {
    const { take } = await poolOf(t, { size: 2, acceleration: ACCELERATION, identity: NOBODY, graphics: true });
    const [one, other] = await Promise.all([take(), take()]);
    assert.deepEqual(one.screen.size, { width: 1280, height: 800 });
    // No program has asked for it.
    assert.match((await one.run('cat /proc/[0-9]*/comm')).stdout, /^Xwayland$/m);
    await Promise.all([open(one, BLUE), open(other, RED)]);
    const pictures = await Promise.all([untilShows(one.screen, BLUE, 0.9), untilShows(other.screen, RED, 0.9)]);
    assert.deepEqual([partOf(pictures[0], RED), partOf(pictures[1], BLUE)], [0, 0]);

    await Promise.all([one.screen.type('first\n'), other.screen.type('second\n')]);
    await untilWritten(one, '/tmp/typed', (typed) => typed === 'first');
    await untilWritten(other, '/tmp/typed', (typed) => typed === 'second');

    // Each has viewers of its own.
    for (const [sandbox, colour] of [
      [one, BLUE],
      [other, RED],
    ] as const) {
      const viewer = await Viewer.open(sandbox.screen.vncSocket ?? assert.fail());
      assert.equal(await viewer.colourAt(viewer.width - 3, viewer.height - 3), colour);
      viewer.close();
    }
  });
});
