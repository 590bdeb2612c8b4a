/** What --dry-run says of what serves the root. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { usualSnapshot } from '../helpers/usual-snapshot.js';

for (const way of [embedded, system])
  describe(`the plan of a root over ${way.uri}`, { skip: way.skip }, () => {
    it('is what --dry-run says', async (t) => {
      const { env } = await usualSnapshot();
      const says = async (...options: readonly string[]) => {
        const args = ['-c', way.uri, ...ACCEL, ...options, '--dry-run', '--json', '--', 'true'];
        const { out, stderr } = await runSandbox(args, { env });
        assert.equal(stderr, '');
        return (JSON.parse(out) as { readonly rootFs?: string }).rootFs;
      };
      assert.deepEqual([await says(), await says('--root-fs', '9p')], ['virtiofs', '9p']);
      // A mount in its place is no root.
      assert.equal(await says('-m', `host-bind:/=${scratchDirectory(t)}`), undefined);
    });
  });
