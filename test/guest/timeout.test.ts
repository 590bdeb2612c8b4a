/** --timeout: the application has so much time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embedded, lxc, system } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { runSandbox } from '../helpers/run.js';

const SAID = 'virt-sandbox: the application was killed, because the time of --timeout was over\n';

for (const { uri, skip, where, options } of [embedded, system, lxc]) {
  describe(`over ${uri}`, { skip }, () => {
    it('kills all that the application has started, says so, and ends with 124', async () => {
      const name = uniqueName();
      const loop = 'trap "" TERM HUP INT; sleep 1000 & while :; do sleep 1; done';
      const { code, stderr } = await runSandbox(
        ['-c', uri, '-n', name, '--timeout', '700ms', '--', 'sh', '-c', loop],
        options,
      );
      assert.deepEqual([code, stderr], [124, SAID]);
      await assertNothingLeft(name, where);
    });
  });
}

describe('an application with enough time', { skip: embedded.skip }, () => {
  it('ends with its own status', async () => {
    const { code, stderr } = await runSandbox(['-c', embedded.uri, '--timeout', '600', '--', 'sh', '-c', 'exit 3']);
    assert.deepEqual([code, stderr], [3, '']);
  });
});
