/** The serial line of `--shell`, for `virsh console`. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { startWithShell } from '../helpers/shells.js';

const NO_CONSOLE = /^virt-sandbox: shell: for --attach, and not for virsh console, because (.*)$/m;

describe('virsh console', () => {
  for (const way of [embedded, system]) {
    it(`-v says why it reaches none over ${way.uri}, and only then`, { skip: way.skip }, async (t) => {
      const { name, running } = await startWithShell(t, way.uri, '-v', '--shell');
      const why = NO_CONSOLE.exec(running.stderr())?.[1];
      if (way === embedded) assert.equal(why, 'without a daemon there is nobody whom virsh could ask');
      else {
        const xml = execFileSync('virsh', ['-q', '-c', way.uri, 'dumpxml', name], { encoding: 'utf8' });
        const expected = xml.includes("<serial type='pty'")
          ? undefined
          : 'the user whom QEMU runs as may not open /dev/ptmx';
        assert.equal(why, expected);
      }
    });
  }
});
