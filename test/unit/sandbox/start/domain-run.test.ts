/** Nothing is left of a domain, however its run ends. libvirt is a fake. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, Domain, DomainStop } from '../../../../src/libvirt/connection.js';
import { DomainRun } from '../../../../src/sandbox/start/domain-run.js';
import { releaseState } from '../../../../src/sandbox/state/state-directory.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { uniqueName } from '../../../helpers/leftovers.js';

const REFUSED = new SandboxError({ stage: 'domain', code: 'refused', message: 'libvirt refused', remedy: 'none' });

/** A domain that records how it was destroyed. */
class FakeDomain implements Domain {
  readonly name = 'fake';
  readonly ends: boolean[] = [];
  stop!: (stop: DomainStop) => void;
  readonly stopped = new Promise<DomainStop>((resolve) => {
    this.stop = resolve;
  });

  async consolePaths(): Promise<readonly string[]> {
    return [];
  }

  async seesQemu(): Promise<boolean> {
    return true;
  }

  async shareServers(): Promise<readonly number[]> {
    return [];
  }

  async destroy({ force }: { readonly force: boolean }): Promise<void> {
    this.ends.push(force);
  }
}

function runWith(
  start: Connection['start'],
  { timeout = 60_000, signal }: { timeout?: number; signal?: AbortSignal } = {},
) {
  const connection = { kind: 'session', start } as Connection;
  return new DomainRun({ connection, name: uniqueName(), timeout, signal, onConsole: undefined });
}

describe('the run of a domain', () => {
  it('that was not started leaves no state directory', async () => {
    const run = runWith(() => Promise.reject(REFUSED));
    const { path } = run.claim();
    await run.open({ monitored: false });
    assert.ok(existsSync(path));
    run.start('<domain/>');
    assert.equal((await rejectsWith(run.within(run.domain, 'it'), 'refused')).message, 'libvirt refused');
    assert.ok(run.gone.aborted);
    await run.end({ force: false });
    assert.ok(!existsSync(path));
    run.release();
  });

  it('whose name is taken leaves what is there', async () => {
    const first = runWith(() => Promise.reject(REFUSED));
    const { path } = first.claim();
    const second = new DomainRun({
      connection: { kind: 'session' } as Connection,
      name: first.name,
      timeout: 60_000,
      signal: undefined,
      onConsole: undefined,
    });
    assert.throws(
      () => second.claim(),
      (error) => error instanceof SandboxError && error.code === 'name-in-use',
    );
    await second.end({ force: false });
    second.release();
    assert.ok(existsSync(path));
    await first.end({ force: false });
    first.release();
    assert.ok(!existsSync(path));
  });

  it('that was started is ended as it is told to', async () => {
    for (const force of [false, true]) {
      const domain = new FakeDomain();
      const run = runWith(async () => domain);
      const state = run.claim();
      run.start('<domain/>');
      assert.equal(await run.within(run.domain, 'it'), domain);
      await run.end({ force });
      run.release();
      assert.deepEqual(domain.ends, [force]);
      // The real libvirt's side removes it with the domain.
      releaseState(state);
    }
  });

  it('that starts after the launch was aborted is ended all the same', async () => {
    const domain = new FakeDomain();
    const cancel = new AbortController();
    const run = runWith(() => delay(200, domain), { signal: cancel.signal });
    const state = run.claim();
    run.start('<domain/>');
    cancel.abort();
    await rejectsWith(run.within(run.domain, 'it'), 'aborted');
    assert.deepEqual(domain.ends, []);
    await run.end({ force: false });
    run.release();
    assert.deepEqual(domain.ends, [false]);
    releaseState(state);
  });

  it('says how far it came when time is up', async () => {
    const run = runWith(async () => new FakeDomain(), { timeout: 50 });
    const state = run.claim();
    run.start('<domain/>');
    const error = await rejectsWith(run.within(new Promise(() => {}), 'the moon'), 'boot-timeout');
    assert.match(error.message, /within 0\.05 s; it came as far as: the moon/);
    await run.end({ force: true });
    run.release();
    releaseState(state);
  });

  it('says why libvirt did not start the domain, also where the channel breaks first', async () => {
    const run = runWith(() => delay(50).then(() => Promise.reject(REFUSED)));
    const { path } = run.claim();
    run.start('<domain/>');
    const broken = new SandboxError({ stage: 'boot', code: 'guest-gone', message: 'it broke', remedy: 'none' });
    assert.equal(await run.reasonFor(broken), REFUSED);
    await run.end({ force: false });
    run.release();
    assert.ok(!existsSync(path));
  });

  it('says why the domain stopped', async () => {
    const domain = new FakeDomain();
    const run = runWith(async () => domain);
    const state = run.claim();
    run.start('<domain/>');
    const waiting = run.within(new Promise(() => {}), 'it');
    domain.stop({ reason: 'failed', error: REFUSED });
    await rejectsWith(waiting, 'refused');
    assert.ok(run.gone.aborted);
    await run.end({ force: false });
    run.release();
    releaseState(state);
  });
});
