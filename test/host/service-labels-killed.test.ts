/** virt-sandbox-service is killed while it labels the state of a new service, or of a clone, for SELinux. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { labelOf } from '../../src/service/store/label-state.js';
import { assertMadeAfter, killedAt, someSteps, tracedFor, unlessTraced } from '../helpers/killing.js';
import { OLD_FILES, OLD_PROCESS } from '../helpers/labelled-old-service.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { serviceProgram } from '../helpers/serving.js';

const skip =
  unlessRoot('labels are its to give') ||
  unlessTraced() ||
  // Its policy need not have the type.
  (existsSync('/sys/fs/selinux/enforce') ? 'this host has SELinux' : false);

const CALLS = ['lsetxattr'];

describe('a service with labels of files', { skip }, () => {
  it('is made and cloned with all of them by the next call, when it is killed between them', async (t) => {
    const service = serviceProgram(t);
    const { name, states, out } = service;
    const root = scratchDirectory(t, WITH_ATTRIBUTES);
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'etc/key'), 'key', { mode: 0o600 });
    const labels = ['-s', `static,label=${OLD_PROCESS}`, '-f', 'svirt_lxc_file_t', '--copy-path', '/etc/key'];
    const create = ['create', '-p', states, '-r', root, ...labels, name, '--', 'true'];
    const log = join(scratchDirectory(t), 'calls');
    for (const [made, command] of [
      [name, create],
      [`${name}-2`, ['clone', name, `${name}-2`]],
    ] as const) {
      const before = service.leftovers();
      const making = {
        run: (through: readonly string[]) => service.run(command, { through }),
        isThere: async (step: string) => {
          if (!(await out('list', '--quiet')).split('\n').includes(made)) return false;
          const [, level = ''] = new RegExp(`^label=${OLD_PROCESS}(:s0:c.+)$`, 'm').exec(await out('show', made)) ?? [];
          const state = join(states, made);
          const paths = ['', ...(readdirSync(state, { recursive: true }) as string[])];
          assert.ok(paths.includes('layers/upper/etc/key'), step);
          assert.deepEqual(new Set(paths.map((path) => labelOf(join(state, path)))), new Set([`${OLD_FILES}${level}`]));
          return true;
        },
        remove: () => out('delete', made),
        left: () => service.leftovers().filter((entry) => !before.includes(entry)),
      };
      await assertMadeAfter(making, 'nothing', await making.run(tracedFor(CALLS, { isAlone: true, log })));
      for (const step of someSteps(CALLS, log)) {
        const ended = await making.run(killedAt(step, { isAlone: true }));
        assert.ok(await assertMadeAfter(making, `${made}: ${step.when}`, ended));
      }
      // To be cloned.
      if (made === name) await out(...create);
    }
  });
});
