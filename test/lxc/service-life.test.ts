/** Services in containers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { uniqueName } from '../helpers/leftovers.js';
import { removeServices, service } from '../helpers/making-services.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { itLivesAsAService } from '../helpers/service-life.js';

describe('a service in a container', { skip: lxc.skip }, () => {
  itLivesAsAService(lxc);

  it('is made with options that have no effect on it, which are said', async (t) => {
    const name = uniqueName();
    t.after(() => removeServices([name], lxc.options));
    const where = ['-c', lxc.uri, '-p', scratchDirectory(t, WITH_ATTRIBUTES)];
    const { code, stderr } = await service(['create', ...where, '--vcpus', '2', name, '--', 'true'], lxc.options);
    assert.deepEqual(
      [code, stderr],
      [
        0,
        'virt-sandbox-service: without effect: --vcpus, because a container has the kernel and the processors of the host\n',
      ],
    );
  });
});
