/** A start while another process holds the service, is about to let it go, or has just done so. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { startTime } from '../../../../src/sandbox/state/state-directory.js';
import { claimService, ownerOf, releaseService } from '../../../../src/service/run/claim.js';
import { type Phase, writeServiceRecord } from '../../../../src/service/run/record.js';
import { refuseHeld, untilUnitEnds } from '../../../../src/service/run/refuse-held.js';
import { settlesWithin } from '../../../../src/util/promises.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const REFUSED = { code: 'service-running' };
const CANCELLED = { code: 'aborted', message: /^the work on the service "\S+" was cancelled$/ };
const UNIT = 'web_sandbox.service';

/** This process holds it. */
async function held(t: TestContext) {
  const [name, life] = [uniqueName(), scratchDirectory(t)];
  const claim = await claimService(name);
  t.after(() => releaseService(claim));
  const record = (phase: Phase, owner = ownerOf(claim), unit?: string) => {
    const since = new Date().toISOString();
    return writeServiceRecord(life, { version: 1, name, owner, pid: 1, unit, phase, since, restarts: 0, ports: [] });
  };
  return { name, life, record, release: () => releaseService(claim) };
}

describe('a service that is held', { skip: unlessRoot('claims of root are in /run') }, () => {
  it('is not started as long as it has not ended', async (t) => {
    const { name, life, record } = await held(t);
    await assert.rejects(refuseHeld(name, life), REFUSED);
    for (const phase of ['starting', 'running', 'stopping', 'waiting'] as const) {
      await record(phase);
      await assert.rejects(refuseHeld(name, life), REFUSED, phase);
    }
    // It has claimed the service, and recorded nothing yet.
    await record('failed', '1 1');
    await assert.rejects(refuseHeld(name, life), REFUSED);
  });

  it('is started when it is let go, once its end is recorded', async (t) => {
    const { name, life, record, release } = await held(t);
    for (const phase of ['stopped', 'failed'] as const) {
      await record(phase);
      const refusing = refuseHeld(name, life);
      assert.equal(await settlesWithin(refusing, 100), false, phase);
      if (phase === 'failed') release();
      else await record('starting');
      await (phase === 'failed' ? refusing : assert.rejects(refusing, REFUSED));
    }
    const signal = AbortSignal.abort();
    await record('failed');
    await refuseHeld(name, life, { signal });
  });

  it('is waited for until that is cancelled, or has taken too long', async (t) => {
    const { name, life, record } = await held(t);
    await record('failed');
    const cancel = new AbortController();
    const refusing = refuseHeld(name, life, { signal: cancel.signal });
    assert.equal(await settlesWithin(refusing, 100), false);
    cancel.abort();
    await assert.rejects(refusing, CANCELLED);
    await assert.rejects(refuseHeld(name, life, { patience: 100 }), REFUSED);
  });
});

describe('the unit of a service that was let go', { skip: unlessRoot('claims of root are in /run') }, () => {
  it('is waited for as long as its process is there, which no claim says', async (t) => {
    const { name, life, record, release } = await held(t);
    release();
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    const { pid = 0 } = child;
    await record('failed', `${pid} ${startTime(pid)}`, UNIT);
    await refuseHeld(name, life);
    const waiting = untilUnitEnds(name, life, UNIT);
    assert.equal(await settlesWithin(waiting, 100), false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await waiting;
  });

  it('is refused when its process does not end, and the wait can be cancelled', async (t) => {
    const { name, life, record, release } = await held(t);
    release();
    await record('stopped', undefined, UNIT);
    await assert.rejects(untilUnitEnds(name, life, UNIT, { patience: 100 }), REFUSED);
    const cancel = new AbortController();
    const waiting = untilUnitEnds(name, life, UNIT, { signal: cancel.signal });
    assert.equal(await settlesWithin(waiting, 100), false);
    cancel.abort();
    await assert.rejects(waiting, CANCELLED);
  });

  it('is not waited for if it is another one, or none, or runs', async (t) => {
    const { name, life, record } = await held(t);
    const signal = AbortSignal.abort();
    await untilUnitEnds(name, life, UNIT, { signal });
    for (const [phase, unit] of [
      ['failed', 'other_sandbox.service'],
      ['failed', undefined],
      ['running', UNIT],
    ] as const) {
      await record(phase, undefined, unit);
      await untilUnitEnds(name, life, UNIT, { signal });
    }
  });
});
