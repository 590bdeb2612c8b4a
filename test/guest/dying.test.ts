/** A guest that dies early shows its last console lines. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, runSandbox } from '../helpers/run.js';

for (const way of [embedded, system]) {
  describe(`a guest that dies: ${way.uri}`, { skip: way.skip, concurrency: 2 }, () => {
    it('because its memory is too small for the kernel, with the panic and the remedy', async () => {
      const name = uniqueName();
      const result = await runSandbox(['-c', way.uri, '-n', name, '--memory', '64', '--', 'true']);
      assertFailure(result, /before the application was started/, /give it more memory with --memory/);
      assert.match(result.stderr, /\n {2}guest: .*Kernel panic - not syncing: .*memory/);
      await assertNothingLeft(name, exceptLogs(way.where));
    });

    it("because it powers off, with the kernel's last lines", async () => {
      const name = uniqueName();
      // The kernel powers off a moment later, and from then on no program can be read. A machine that was restored may
      // do that before libvirt has started the domain, which then knows only that QEMU is gone.
      const script = 'echo o > /proc/sysrq-trigger; while :; do :; done';
      const result = await runSandbox(['-c', way.uri, '-n', name, '-p', '--', 'sh', '-c', script]);
      assertFailure(result, /ended while the application ran, without its exit status/);
      assert.match(result.stderr, /\n {2}guest: .*sysrq: Power Off/);
      await assertNothingLeft(name, exceptLogs(way.where));
    });
  });
}
