/** Services in machines. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { embedded } from '../helpers/connections.js';
import { DatagramSocket } from '../helpers/datagrams.js';
import { AtTerminal } from '../helpers/pty.js';
import { SERVICE_PROGRAM } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { itLivesAsAService } from '../helpers/service-life.js';
import { serviceOf } from '../helpers/services.js';
import { sharedSnapshot } from '../helpers/snapshots.js';

describe('a service in a machine', { skip: embedded.skip }, () => {
  itLivesAsAService(embedded);

  it('is restored where there is a snapshot', {
    skip: sharedSnapshot() === undefined && 'there is none',
  }, async (t) => {
    const service = await serviceOf(t, embedded, { options: ['--boot', 'warm'], script: 'exec sleep 1000' });
    await service.ok(['start']);
    assert.equal((await service.status()).sandbox?.boot, 'warm');
  });

  it('says at a terminal what its start waits for', async (t) => {
    const options = ['--health', '[ -e /tmp/go ] || { echo no go; exit 1; }'];
    const service = await serviceOf(t, embedded, { options, script: 'exec sleep 1000' });
    const size = { rows: 24, columns: 200 };
    const starting = new AtTerminal(['start', service.name], size, { program: SERVICE_PROGRAM });
    t.after(() => starting.close());
    await starting.until(/its health command .* fails: exit status 1; it said: no go/);
    await service.run(['execute'], ['--', 'touch', '/tmp/go']);
    assert.equal((await starting.exited()).code, 0);
  });

  it('tells systemd when it is ready, that it lives, and that it ends', async (t) => {
    const service = await serviceOf(t, embedded, {
      options: ['--health', '[ ! -e /tmp/ill ]'],
      script: 'exec sleep 1000',
    });
    const address = join(scratchDirectory(t), 'notify');
    const socket = new DatagramSocket(address);
    t.after(() => socket.close());
    const told: string[] = [];
    const running = service.begin(['run'], { env: { NOTIFY_SOCKET: address, WATCHDOG_USEC: '1000000' } });
    let hasEnded = false;
    const ends = () => {
      hasEnded = true;
    };
    void running.result.then(ends, ends);
    const hears = async (text: string) => {
      for (;;) {
        const isLast = hasEnded;
        told.push(...socket.received());
        if (told.some((message) => message.includes(text))) return;
        assert.ok(!isLast, `it has ended, and told ${told.join(', ')}`);
        await sleep(20);
      }
    };
    await hears('READY=1\nSTATUS=running');
    assert.equal((await service.status()).state, 'running');
    assert.equal(told[0], 'STATUS=starting');
    await hears('WATCHDOG=1');
    // The service is not told.
    assert.equal(await service.inside('echo $NOTIFY_SOCKET'), '\n');
    running.child.kill('SIGTERM');
    await hears('STOPPING=1');
    assert.equal((await running.result).code, 0);
  });

  it('follows its log to its end', async (t) => {
    const script = 'echo one; until [ -e /tmp/go ]; do sleep 0.1; done; echo two';
    const service = await serviceOf(t, embedded, { script });
    await service.ok(['start']);
    const following = service.begin(['logs', '--follow']);
    await following.until(/one/);
    await service.run(['execute'], ['--', 'touch', '/tmp/go']);
    const { code, out } = await following.result;
    assert.deepEqual([code, out], [0, 'one\ntwo\n']);
  });
});
