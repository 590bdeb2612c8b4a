/** virt-sandbox-service is killed at every step of making and removing a service. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { loadService } from '../../src/service/file.js';
import { serviceNames } from '../../src/service/list.js';
import {
  assertKilledAt,
  assertMadeAtEveryStep,
  atEveryStep,
  isKilled,
  killedAt,
  othersThan,
  REMOVING,
  type Step,
  unlessTraced,
} from '../helpers/killing.js';
import { scratchDirectory, unlessRoot } from '../helpers/scratch.js';
import { type ServiceProgram, serviceProgram } from '../helpers/serving.js';

/** Calls that change what is on the disk, whether the program makes them now or not. */
const CALLS = ['mkdir', 'rename', 'fsync', 'link', ...REMOVING];

/** Those that it makes now: `create` for every service, and `delete`. */
const CREATING = ['mkdir', 'rename', 'fsync'];
const DELETING = [...CREATING, ...REMOVING];

/** How what was made beside gets its name. */
const NAMING = ['link', ...REMOVING];

/** Those of a file that is copied, and of an image. */
const OF_FILES = ['copy_file_range', 'fchown', 'lchown', 'fchmod', 'chmod', 'utimensat', 'setxattr'];
const OF_IMAGES = ['ftruncate', 'chmod'];

/** @returns whether there was such a step */
async function isKilledAt(service: ServiceProgram, args: readonly string[], step: Step): Promise<boolean> {
  return isKilled(await service.run(args, { through: killedAt(step) }));
}

/** Whether the service is there. Then it is whole. */
async function isThere({ name, roots }: ServiceProgram): Promise<boolean> {
  if (!serviceNames(roots).includes(name)) return false;
  assert.deepEqual((await loadService(roots, name)).config.command, ['true']);
  return true;
}

/** What the root has is recorded: that of this host has many files. */
function smallRoot(context: TestContext): string {
  const root = scratchDirectory(context);
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'etc/key'), 'key', { mode: 0o600 });
  return root;
}

describe('a virt-sandbox-service that is killed', {
  skip: unlessRoot('states in directories') || unlessTraced(),
}, () => {
  for (const [where, options, further, naming] of [
    // With copies in it, so that each step of one without them is there, too.
    ['a directory', ['--copy-path', '/etc/key'], OF_FILES, NAMING],
    ['an image', ['--imagesize', '150'], OF_IMAGES, NAMING],
  ] as const) {
    it(`leaves no half of a service with its state in ${where}`, async (context) => {
      const service = serviceProgram(context);
      const { name } = service;
      const create = ['create', '--path', service.states, '-r', smallRoot(context), ...options, name, '--', 'true'];
      const killed = await assertMadeAtEveryStep([...CALLS, ...further, ...othersThan([...CALLS, ...further])], {
        run: (through) => service.run(create, { through }),
        isThere: () => isThere(service),
        remove: () => service.out('delete', name),
        left: service.leftovers,
      });
      assertKilledAt(killed, [...CREATING, ...further, ...naming]);
    });

    it(`removes the rest of a service with its state in ${where} the next time`, async (context) => {
      const service = serviceProgram(context);
      const { name } = service;
      const create = ['create', '--path', service.states, '-r', smallRoot(context), ...options, name, '--', 'true'];
      const killed = await atEveryStep([...CALLS, ...othersThan(CALLS)], async (step) => {
        await service.out(...create);
        const wasKilled = await isKilledAt(service, ['delete', name], step);
        // A new one of the name finds nothing of the old one.
        if (!(await isThere(service))) await service.out(...create);
        await service.out('delete', name);
        assert.deepEqual(service.leftovers(), [], `${step.call} ${step.when}`);
        return wasKilled;
      });
      assertKilledAt(killed, DELETING);
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
    const killed = await atEveryStep(CALLS, async (step) => {
      const wasKilled = await isKilledAt(service, ['create', ...options, name, '--', 'true'], step);
      if (service.leftovers().some((path) => /^\.overlay-.*\.tmp$/.test(path))) begun += 1;
      const { code, stderr } = await service.run(['delete', name]);
      assert.ok(code === 0 || /there is no service/.test(stderr), stderr);
      assert.deepEqual(service.leftovers(), [], `${step.call} ${step.when}`);
      return wasKilled;
    });
    assert.ok(begun > 0);
    assertKilledAt(killed, CALLS);
  });
});
