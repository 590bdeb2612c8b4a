/** Services whose files name no URI run again over the one that they ran over. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import type { Way } from './connections.js';
import { removeServices } from './making-services.js';
import { holdsDuring } from './meanwhile.js';
import { SERVICE_PROGRAM, startSandbox } from './run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';
import { LIVES, type Status, serviceOf, type TestService } from './services.js';

/** Ends badly until the file is there, so that it waits longer each time. */
const ENDS = 'test -e /srv/well || exit 7; exec sleep 1000';

/** Enough for a clone to find one that waits, in milliseconds. */
const WAIT_MS = 4000;

/** Makes a file the first time. */
const ONCE = 'mkdir /srv/once && touch /srv/go; exec sleep 1000';

interface Started {
  readonly service: TestService;
  /** The directory in which its state is. */
  readonly states: string;
  /** The name of a clone of it. */
  readonly clone: string;
}

/** @param other the URI that counts where none is given */
async function started(
  t: TestContext,
  way: Way,
  other: string,
  script: string,
  given: readonly string[] = [],
): Promise<Started> {
  const options = { ...way.options, env: { ...way.options.env, LIBVIRT_DEFAULT_URI: other } };
  const states = scratchDirectory(t, WITH_ATTRIBUTES);
  const wanted = { script, options: ['-p', states, ...given], isKept: true };
  const service = await serviceOf(t, { ...way, options }, wanted);
  const clone = `${service.name}-2`;
  t.after(() => removeServices([clone], options));
  service.change((text) => text.replace(/^connect=.*\n/m, ''));
  await service.ok(['start', '-c', way.uri]);
  return { service, states, clone };
}

async function assertRuns(service: TestService, { uri }: Way): Promise<void> {
  const { sandbox } = await service.until(({ state }) => state === 'running');
  assert.equal(sandbox?.uri, uri);
}

/** Defines the test for each. */
export function itRunsAgainAsItRan(way: Way, other: string): void {
  it('runs again over the URI that start was given', async (t) => {
    const { service, states, clone } = await started(t, way, other, 'exec sleep 1000');
    await assertRuns(service, way);
    await service.ok(['restart']);
    await assertRuns(service, way);
    await service.ok(['clone', '--stop'], [clone]);
    await assertRuns(service, way);
    await service.ok(['export', '--stop', '-o', join(states, 'archive')]);
    await assertRuns(service, way);
  });
}

/** Defines the tests that are of no platform. */
export function itRunsAgainLater(way: Way, other: string): void {
  it('runs again over the URI that start was given, if it waits for its next start meanwhile', async (t) => {
    const { service, states, clone } = await started(t, way, other, ENDS, ['--restart', 'on-failure']);
    await service.until(({ state, again = '' }) => state === 'waiting' && Date.parse(again) > Date.now() + WAIT_MS);
    await service.ok(['clone', '--stop'], [clone]);
    const upper = join(states, service.name, 'layers/mounts/%2F/upper');
    mkdirSync(join(upper, 'srv'), { recursive: true });
    writeFileSync(join(upper, 'srv/well'), '');
    await assertRuns(service, way);
  });

  it('runs again over the URI that start was given, after a clone that was killed', async (t) => {
    const { service, clone } = await started(t, way, other, ONCE, ['--health', 'test -e /srv/go']);
    const owner = () => JSON.parse(readFileSync(join(LIVES, service.name, 'service.json'), 'utf8')).owner as string;
    for (const next of [['start'], ['restart']]) {
      // It is not ready before the file is there again.
      await service.inside('rm /srv/go');
      const before = owner();
      const options = { ...service.way.options, program: SERVICE_PROGRAM };
      const cloning = startSandbox(['clone', '--stop', service.name, clone], options);
      await holdsDuring(cloning.result, () => owner() !== before);
      process.kill(cloning.pid, 'SIGKILL');
      await cloning.result;
      await service.until(({ state }) => state === 'stopped');
      assert.match((await service.run(['status'])).out, /by a process that was killed: start it/);
      const starting = service.begin(next);
      const isThere = ({ state, sandbox }: Status) => state === 'starting' && sandbox !== undefined;
      await service.until((status) => status.state === 'failed' || isThere(status));
      await service.inside('touch /srv/go');
      assert.equal((await starting.result).code, 0);
      await assertRuns(service, way);
      await removeServices([clone], options);
    }
  });
}
