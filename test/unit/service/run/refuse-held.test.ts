/** A start while another process holds the service, or is about to let it go. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { claimService, ownerOf, releaseService } from '../../../../src/service/run/claim.js';
import { type Phase, writeServiceRecord } from '../../../../src/service/run/record.js';
import { refuseHeld } from '../../../../src/service/run/refuse-held.js';
import { settlesWithin } from '../../../../src/util/promises.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const REFUSED = { code: 'service-running' };

/** This process holds it. */
async function held(t: TestContext) {
  const [name, life] = [uniqueName(), scratchDirectory(t)];
  const claim = await claimService(name);
  t.after(() => releaseService(claim));
  const record = (phase: Phase, owner = ownerOf(claim)) => {
    const since = new Date().toISOString();
    return writeServiceRecord(life, { version: 1, name, owner, pid: 1, phase, since, restarts: 0, ports: [] });
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
    const cancelled = AbortSignal.abort();
    await record('failed');
    await refuseHeld(name, life, cancelled);
  });
});
