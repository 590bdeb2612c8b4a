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

const ONE = availableParallelism() === 1 && 'there is one processor';

describe('eight machines over the embedded driver, one after the other', { skip: embedded.skip || ONE }, () => {
  it('have libvirt ask QEMU once what it can do', async (t) => {
    const path = scratchDirectory(t);
    const cacheDirectory = join(path, 'cache');
    const known = join(cacheDirectory, 'qemu/capabilities');
    const connection = connectEmbedded({ cacheDirectory });
    const written = new Set<string>();
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
        written.add(`${file} ${statSync(join(known, file)).mtimeMs}`);
      }
    }
    assert.ok(files.size > 0);
    assert.equal(written.size, files.size);
  });
});
