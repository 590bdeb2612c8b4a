/** The ground of tests with hostile roots of containers: a store, and files of the host that may not change. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { lxc } from '../connections.js';
import { assertStartIsClean } from '../container-start.js';
import { ask, type Facts } from '../inside.js';
import { fingerprint } from '../tree-listing.js';

/** Makes the ground of a test file, which is removed after its tests. `name` is a part of its path. */
export function containerGround(name: string) {
  const ground = mkdtempSync(`/var/tmp/virt-sandbox-hostile-${name}-`);
  const shelf = mkdtempSync('/var/tmp/virt-sandbox-hostile-shelf-');
  const shared = join(ground, 'shared');
  const options = { ...lxc.options, env: { XDG_CACHE_HOME: join(shelf, 'cache') } };

  before(() => {
    chmodSync(ground, 0o755);
    mkdirSync(join(shared, 'dir'), { recursive: true, mode: 0o755 });
    mkdirSync(join(shelf, 'cache'));
    for (const name of ['victim', 'dir/victim']) writeFileSync(join(shared, name), 'whole\n', { mode: 0o600 });
  });
  after(() => {
    for (const directory of [ground, shelf]) rmSync(directory, { recursive: true, force: true });
  });

  return {
    /** What `victims` looks at; others may enter it. */
    ground,
    /** A directory that only root enters, for the store and what else a test keeps. */
    shelf,
    /** A directory that the sandbox may write to. */
    shared,
    /** What mounts it at /srv/shared. */
    mountShared: ['-m', `host-bind:/srv/shared=${shared}`],
    /** For runs with a store of their own. */
    options,

    /** The host's files that a start must not change: `ground`; and what all containers start in is as it was made. */
    victims(): string {
      assertStartIsClean();
      return fingerprint(ground);
    },

    /** Asks in a container of an image. */
    inside<T extends Facts>(image: string, words: readonly string[], facts: T, stderr?: RegExp) {
      const how = { ...options, shell: ['/bin/sh'], ...(stderr && { stderr }) };
      return ask(['-c', lxc.uri, '--root', image, ...words], facts, how);
    },
  };
}
