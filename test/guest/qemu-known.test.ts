/** What libvirt's embedded driver has found out about QEMU serves the next start, on whatever processor that begins. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectEmbedded } from '../../src/libvirt/embedded.js';
import { embedded } from '../helpers/connections.js';
import { uniqueName } from '../helpers/leftovers.js';
import { scratchDirectory } from '../helpers/scratch.js';

const STARTS = 8;

/** The modification time of what src/libvirt/qemu-facts.ts has made smaller. */
const SMALL_MS = 1000;

const ONE = availableParallelism() === 1 && 'there is one processor';

describe('eight machines over the embedded driver, one after the other', { skip: embedded.skip || ONE }, () => {
  it('have libvirt ask QEMU once what it can do, and accept the answer when it is made smaller', async (t) => {
    const path = scratchDirectory(t);
    const cacheDirectory = join(path, 'cache');
    const known = join(cacheDirectory, 'qemu/capabilities');
    const connection = connectEmbedded({ cacheDirectory });
    const written = new Map<string, number>();
    const small = new Map<string, number>();
    const files = new Set<string>();
    for (let start = 0; start < STARTS; start += 1) {
      const name = uniqueName();
      const directory = join(path, String(start));
      mkdirSync(directory);
      // It boots nothing.
      const xml = `<domain type="qemu"><name>${name}</name><memory>65536</memory><os><type>hvm</type></os></domain>`;
      const context = { stateDirectory: directory, socketDirectory: directory, name };
      const domain = await connection.start(xml, context);
      const ended = domain.stopped.then((stop) => assert.fail(`it ended: ${JSON.stringify(stop)}`));
      ended.catch(() => {});
      while ((await connection.qemuPid(context)) === undefined) await Promise.race([ended, sleep(5)]);
      await domain.destroy({ force: true });
      for (const file of readdirSync(known)) {
        files.add(file);
        const { mtimeMs, size } = statSync(join(known, file));
        (mtimeMs === SMALL_MS ? small : written).set(`${file} ${mtimeMs}`, size);
      }
    }
    assert.ok(files.size > 0);
    assert.deepEqual([written.size, small.size], [files.size, files.size]);
    for (const [index, size] of [...small.values()].entries())
      assert.ok(size < ([...written.values()][index] ?? 0) / 2);
  });
});
