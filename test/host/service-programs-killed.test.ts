/** Programs that making a service takes are killed, each alone, or whoever pulls its image is. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { unlessProgram } from '../helpers/images.js';
import { stoppedProgram, tracedProgram } from '../helpers/killed-programs.js';
import { assertMadeAfter, killedAt, someSteps, tracedFor, unlessTraced } from '../helpers/killing.js';
import { entriesIn } from '../helpers/leftovers.js';
import { testImage } from '../helpers/oci/image.js';
import { imageIn, startRegistry } from '../helpers/oci/registry.js';
import { tarOf } from '../helpers/oci/tar.js';
import { makePackagedRoot } from '../helpers/packaged-root.js';
import type { RunOptions } from '../helpers/run.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { serviceProgram } from '../helpers/serving.js';

const skip = unlessRoot('copies files') || unlessTraced();

describe('a service that is made', { skip }, () => {
  const withPackages = { skip: unlessProgram('dpkg', 'dpkg-query') };
  it('is not there, nor anything of it, when dpkg-query is killed', withPackages, async (t) => {
    const service = serviceProgram(t);
    const root = scratchDirectory(t, WITH_ATTRIBUTES);
    const key = { '/etc/web/key': { text: 'key', mode: 0o600 }, '/usr/bin/webd': { text: '', mode: 0o755 } };
    makePackagedRoot(root, [{ name: 'web', files: key }]);
    const traced = tracedProgram(t, 'dpkg-query');
    for (const [call, options] of [
      ['openat', ['-C']],
      ['write', ['-C', '-P', 'web']],
    ] as const) {
      const create = ['create', '-p', service.states, '-r', root, ...options, service.name, '--', 'webd'];
      const { code, stderr } = await service.run(create, { env: traced(killedAt({ call, when: 1 })) });
      assert.equal(code, 125, stderr);
      assert.match(stderr, /^virt-sandbox-service: service: "dpkg-query", .* was ended by SIGKILL; try again\n$/);
      assert.deepEqual(service.leftovers(), [], call);
      await service.out(...create);
      assert.match(await service.out('show', service.name), /^copied\.0=\/etc\/web\/key$/m);
      await service.out('delete', service.name);
    }
  });

  it('is not there, nor anything of it, when it is killed while its image comes', async (t) => {
    const service = serviceProgram(t);
    const registry = await startRegistry(t);
    registry.add(testImage([tarOf({ name: 'etc/', type: '5' })], { config: { Cmd: ['/bin/true'] } }), 'v1');
    const create = ['create', '-p', service.states, '-r', `docker://${imageIn(registry, 'v1')}`, service.name];
    const log = join(scratchDirectory(t), 'calls');
    const making = {
      // In a store without the image.
      run: (through: readonly string[]) =>
        service.run(create, { through, env: { XDG_CACHE_HOME: scratchDirectory(t), http_proxy: undefined } }),
      isThere: async () => (await service.out('list', '--quiet')).split('\n').includes(service.name),
      remove: () => service.out('delete', service.name),
      left: service.leftovers,
    };
    // Other programs connect, too: getent does so for the users of all services that are there.
    const isAlone = true;
    await assertMadeAfter(making, 'nothing', await making.run(tracedFor(['rename'], { isAlone, log })));
    for (const step of [{ call: 'connect', when: 1 }, ...someSteps(['rename'], log)])
      assert.ok(
        await assertMadeAfter(making, `${step.call} ${step.when}`, await making.run(killedAt(step, { isAlone }))),
      );
  });
});

/** A service is about to be cloned, with host keys of its own. */
async function cloning(t: TestContext) {
  const service = serviceProgram(t);
  const [root, temporary] = [scratchDirectory(t), scratchDirectory(t)];
  mkdirSync(join(root, 'etc/ssh'), { recursive: true });
  const own = 'etc/ssh/ssh_host_ed25519_key';
  writeFileSync(join(root, own), 'of web', { mode: 0o600 });
  await service.create('-r', root, '--copy-path', '/etc/ssh', service.name, '--', 'true');
  const other = `${service.name}-2`;
  const key = () => readFileSync(join(service.states, other, 'layers/upper', own), 'utf8');
  const before = service.leftovers();
  return {
    service,
    other,
    clone: ['clone', '--new-host-keys', service.name, other],
    traced: tracedProgram(t, 'ssh-keygen'),
    withOwn: (env: RunOptions['env']): RunOptions => ({ env: { ...env, TMPDIR: temporary } }),
    left: () => [...entriesIn(temporary), ...service.leftovers().filter((entry) => !before.includes(entry))],
    assertCloned: () => assert.match(key(), /^-----BEGIN OPENSSH PRIVATE KEY-----\n/),
  };
}

describe('a clone with host keys of its own', { skip: skip || unlessProgram('ssh-keygen') }, () => {
  it('is not there, nor anything of it, when ssh-keygen is killed', async (t) => {
    const { service, other, clone, traced, withOwn, left, assertCloned } = await cloning(t);
    // Before there is a key, and before there is its public part.
    for (const step of [
      { call: 'openat', when: 1 },
      { call: 'write', when: 2 },
    ]) {
      const { code, stderr } = await service.run(clone, withOwn(traced(killedAt(step))));
      assert.equal(code, 125, stderr);
      assert.match(
        stderr,
        /^virt-sandbox-service: service: ssh-keygen made no key of the type ed25519: it was ended by SIGKILL; try again\n$/,
      );
      assert.deepEqual(left(), [], step.call);
    }
    await service.out(...clone);
    assertCloned();
    await service.out('delete', other);
    assert.deepEqual(left(), []);
  });

  for (const next of ['clone', 'delete'])
    it(`leaves no key to anybody when it is killed while ssh-keygen goes on, once the next ${next} has ended`, async (t) => {
      const { service, other, clone, traced, withOwn, left, assertCloned } = await cloning(t);
      const { caller, end } = await stoppedProgram(t, traced, { call: 'write', when: 2 }, (env) =>
        service.begin(clone, withOwn(env)),
      );
      caller.child.kill('SIGKILL');
      assert.equal((await caller.result).signal, 'SIGKILL');
      await service.out(...(next === 'clone' ? clone : ['delete', other]));
      await end();
      if (next === 'clone') {
        assertCloned();
        await service.out('delete', other);
      }
      assert.deepEqual(left(), []);
    });
});
