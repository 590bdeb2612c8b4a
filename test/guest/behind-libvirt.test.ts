/**
 * A launcher that is slower than libvirt, as on a busy host: libvirt has let the machine run before its snapshot is
 * loaded. QEMU answers that it does then, and decides later.
 */

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { NO_TUNING } from '../../src/config/defaults.js';
import type { SandboxConfig } from '../../src/config/types.js';
import { Sandbox } from '../../src/index.js';
import { MARKS, type Mark } from '../../src/util/marks.js';
import { embedded, system } from '../helpers/connections.js';
import { rejectsWith } from '../helpers/errors.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { scratchDirectory } from '../helpers/scratch.js';

/** In milliseconds. libvirt needs a tenth of that from QEMU's monitor to its order to run. */
const LATE_MS = 1000;

const UNLESS_WARM = process.env['TEST_COLD'] ? 'all machines boot cold' : undefined;

/** Stops this process for a while when QEMU has connected. */
function beLate(t: TestContext): void {
  const onMark = (message: unknown) => {
    if ((message as Mark).name === 'qemu.monitor')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LATE_MS);
  };
  subscribe(MARKS, onMark);
  t.after(() => unsubscribe(MARKS, onMark));
}

for (const way of [embedded, system])
  describe(`a launcher behind libvirt, over ${way.uri}`, { skip: way.skip || UNLESS_WARM }, () => {
    it('lets the machine run, and reports an image that another one writes to', async (t) => {
      const image = join(scratchDirectory(t), 'a.img');
      writeFileSync(image, '');
      truncateSync(image, 1 << 20);
      const start = (readOnly: boolean, changes: Partial<SandboxConfig>) => {
        const disk = { type: 'file', tag: 'a', source: image, format: 'raw', readOnly } as const;
        const config = { boot: 'warm', disks: [disk], command: ['cat'], bootTimeout: 20_000, ...changes } as const;
        return Sandbox.start(config, { connect: way.uri });
      };
      beLate(t);
      // A machine with limits is one that the launcher leaves to libvirt.
      const writer = await start(false, { tuning: { ...NO_TUNING, cpuPin: [0] } });
      for (const readOnly of [false, true]) {
        const name = uniqueName();
        await rejectsWith(start(readOnly, { name }), 'image-in-use', /Failed to get .* lock of .*\/a\.img/);
        await assertNothingLeft(name, exceptLogs(way.where));
      }
      writer.stdin.end();
      assert.deepEqual((await writer.exited).exitCode, 0);
    });
  });
