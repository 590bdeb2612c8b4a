/** virt-sandbox-service is killed at every step of making and removing a service. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { killedAt, unlessTraced } from '../helpers/killing.js';
import { scratchDirectory, unlessRoot } from '../helpers/scratch.js';
import { type ServiceProgram, serviceProgram } from '../helpers/serving.js';

/** Calls that change what is on the disk. */
const CALLS = ['mkdir', 'rename', 'fsync', 'link', 'unlink', 'rmdir', 'unlinkat'] as const;
/** More than any of these does. */
const MOST_STEPS = 60;

/**
 * Runs it to be killed at the N-th of the calls that one of its threads makes, or has a program killed that it runs.
 * @returns whether there was such a call
 */
async function isKilledAt(service: ServiceProgram, args: readonly string[], call: string, step: number) {
  const { signal, code, stderr } = await service.run(args, {
    through: killedAt(call, step),
    // One thread works on files, so steps have an order.
    env: { UV_THREADPOOL_SIZE: '1' },
  });
  assert.ok(signal === 'SIGKILL' || [0, 125, 137].includes(code ?? -1), `${signal ?? code} ${stderr}`);
  return code !== 0;
}

/** What the root has is recorded: that of this host has many files. */
function smallRoot(context: TestContext): string {
  const root = scratchDirectory(context);
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'etc/key'), 'key', { mode: 0o600 });
  return root;
}

/** Every step until there are no more. */
async function atEveryStep(run: (call: string, step: number) => Promise<boolean>): Promise<number> {
  let killed = 0;
  for (const call of CALLS)
    for (let step = 1; await run(call, step); step += 1) {
      assert.ok(step < MOST_STEPS, `${call} has no end`);
      killed += 1;
    }
  return killed;
}

describe('a virt-sandbox-service that is killed', {
  skip: unlessRoot('states in directories') || unlessTraced(),
}, () => {
  for (const [where, options] of [
    ['a directory', []],
    // Copies are made there, too.
    ['a directory with copies', ['--copy-path', '/etc/key']],
    ['an image', ['--imagesize', '150']],
  ] as const) {
    it(`leaves no half of a service with its state in ${where}`, async (context) => {
      const service = serviceProgram(context);
      const { name } = service;
      const create = ['create', '--path', service.states, '-r', smallRoot(context), ...options, name, '--', 'true'];
      const killed = await atEveryStep(async (call, step) => {
        const isKilled = await isKilledAt(service, create, call, step);
        const names = (await service.out('list', '--quiet')).split('\n');
        // It is there as a whole, or not at all.
        if (names.includes(name)) assert.match(await service.out('show', name), /^argv\.0=true$/m);
        else await service.out(...create);
        await service.out('delete', name);
        assert.deepEqual(service.leftovers(), [], `${call} ${step}`);
        return isKilled;
      });
      assert.ok(killed >= 8, `${killed} steps`);
    });

    it(`removes the rest of a service with its state in ${where} the next time`, async (context) => {
      const service = serviceProgram(context);
      const { name } = service;
      const create = ['create', '--path', service.states, '-r', smallRoot(context), ...options, name, '--', 'true'];
      const killed = await atEveryStep(async (call, step) => {
        await service.out(...create);
        const isKilled = await isKilledAt(service, ['delete', name], call, step);
        const names = (await service.out('list', '--quiet')).split('\n');
        if (names.includes(name)) assert.match(await service.out('show', name), /^argv\.0=true$/m);
        // A new one of the name finds nothing of the old one.
        else await service.out(...create);
        await service.out('delete', name);
        assert.deepEqual(service.leftovers(), [], `${call} ${step}`);
        return isKilled;
      });
      assert.ok(killed >= 2, `${killed} steps`);
    });
  }

  it('leaves no copies beside an image that it was about to fill, once the service is removed', async (context) => {
    const service = serviceProgram(context);
    const { name } = service;
    const options = [
      '--path',
      service.states,
      '-r',
      smallRoot(context),
      '--imagesize',
      '150',
      '--copy-path',
      '/etc/key',
    ];
    let begun = 0;
    await atEveryStep(async (call, step) => {
      const isKilled = await isKilledAt(service, ['create', ...options, name, '--', 'true'], call, step);
      if (service.leftovers().some((path) => /^\.overlay-.*\.tmp$/.test(path))) begun += 1;
      const { code, stderr } = await service.run(['delete', name]);
      assert.ok(code === 0 || /there is no service/.test(stderr), stderr);
      assert.deepEqual(service.leftovers(), [], `${call} ${step}`);
      return isKilled;
    });
    assert.ok(begun > 0);
  });
});
