/** Includes in every type of mount of a container. */

import assert from 'node:assert/strict';
import { mkdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { makeImage, unlessProgram } from '../helpers/images.js';
import { askInside, type Facts } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { LISTING, list, makeTree } from '../helpers/trees.js';

it('a tree is the same in every type of mount of a container: links, modes, owners and special files', {
  skip: lxc.skip || unlessProgram('mkfs.ext4'),
}, async (t) => {
  const name = uniqueName();
  const directory = scratchDirectory(t);
  const tree = makeTree(directory);
  for (const part of ['rw', 'ro']) mkdirSync(join(directory, part), { mode: 0o755 });
  const image = makeImage(directory, 'ext4');
  const mounts = [
    `host-bind:/mnt=${directory}/rw`,
    `host-bind:/srv=${directory}/ro,ro`,
    'ram:/opt=8M',
    'ram:/opt/deep=1M',
    'guest-bind:/home=/opt/deep',
    `host-image:/media=${image}`,
    'host-bind:/usr/local=',
  ];
  const targets = ['/mnt/new/tree', '/srv/tree', '/opt/tree', '/opt/deep/tree', '/media/tree', '/usr/local/tree'];
  const args = [
    ...['-n', name, '-S', 'nobody', '-i', `/home/one=${tree}/file`],
    ...mounts.flatMap((mount) => ['-m', mount]),
    ...targets.flatMap((target) => ['-i', `${target}=${tree}`]),
  ];
  const facts: Facts = {
    ...Object.fromEntries(targets.map((target) => [target, list(target)])),
    bound: 'cat /home/one; ls /opt/deep',
    run: '/opt/tree/dir/program; /srv/tree/dir/program; cat /media/tree/link',
    readOnly: 'touch /srv/tree/x',
  };
  const found = await askInside(lxc, args, facts);
  for (const target of targets) assert.equal(found[target], LISTING, target);
  assert.equal(found['bound'], 'a file\none\ntree');
  assert.equal(found['run'], 'it ran\nit ran\na file');
  assert.match(found['readOnly'] ?? '', /Read-only/);
  assert.equal(readlinkSync(join(directory, 'rw/new/tree/link')), 'file');
  await assertNothingLeft(name, lxc.where);
});
