/** What create copies into the state of a service in a container. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { besideLxc, lxc } from '../helpers/connections.js';
import { uniqueName } from '../helpers/leftovers.js';
import { itReadsCopies } from '../helpers/service-copies.js';
import { serviceOf } from '../helpers/services.js';

describe('a service in a container', { skip: lxc.skip }, () => {
  itReadsCopies(lxc, 'a directory');

  it('has copies of what is on a mount below the root, closed or not', async (t) => {
    const mounts = ['open', 'closed'].map((what) => `/var/lib/libvirt/${uniqueName()}-${what}`);
    for (const [index, mount] of mounts.entries()) {
      besideLxc('mkdir', mount);
      besideLxc('mount', '-t', 'tmpfs', '-o', `mode=${index === 0 ? 755 : 700}`, 'none', mount);
      t.after(() => {
        besideLxc('umount', '--lazy', mount);
        besideLxc('rmdir', mount);
      });
      besideLxc(
        'sh',
        '-c',
        `cd ${mount}; mkdir sub; echo key > key; echo deep > sub/deep; chmod 600 key; chmod 700 sub`,
      );
    }
    const options = mounts.flatMap((mount) => ['--copy-path', mount]);
    const service = await serviceOf(t, lxc, { options, script: 'exec sleep 1000', isKept: true });
    assert.equal((await service.run(['start'])).code, 0);
    for (const mount of mounts)
      assert.equal(await service.inside(`cd ${mount}; cat key sub/deep; echo mine > key; ls sub`), 'key\ndeep\ndeep\n');
    await service.ok(['stop']);
    for (const mount of mounts) assert.equal(besideLxc('cat', `${mount}/key`), 'key\n');
  });
});
