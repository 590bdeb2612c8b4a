/**
 * Promise: a root whose compositor attacks who makes its sandboxes ready for a pool costs their start a while, and no more:
 * they are taken, and run programs. The attacker is what answers in place of Xwayland.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ACCELERATION } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { poolOf } from '../helpers/taking.js';

const NOBODY = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/nonexistent', groups: [] };

/** What it does with a connection. */
const ATTACKS: Readonly<Record<string, string>> = {
  'says nothing': 'pass',
  'ends the connection': 'one.close()',
  'refuses all': String.raw`one.sendall(b'\0\0\x0b\0\0\0\0\0')`,
  'is cut off': String.raw`one.sendall(b'\1\0\x0b\0\0\0\xff\xff')`,
  'says that nothing follows': String.raw`one.sendall(b'\1\0\x0b\0\0\0\0\0')`,
  'says too much': String.raw`
    try:
      while True: one.sendall(b'\1' * 65536)
    except OSError: pass`,
};

/** It tells of its displays as cage does, by the program that it is to run. */
const compositor = (attack: string) => `#!/usr/bin/python3
import os, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind('/tmp/.X11-unix/X0')
listening.listen()
if os.fork() == 0:
  kept = []
  while True:
    one = listening.accept()[0]
    kept.append(one)
    open('/tmp/attacked', 'w').close()
    ${attack}
os.environ.update(WAYLAND_DISPLAY='wayland-0', DISPLAY=':0')
words = sys.argv[sys.argv.index('--') + 1:]
os.execvp(words[0], words)
`;

describe('a pool whose compositor attacks', { skip: embedded.skip || unlessProgram('python3') }, () => {
  for (const [name, attack] of Object.entries(ATTACKS))
    it(name, async (t) => {
      const directory = mkdtempSync('/var/tmp/virt-sandbox-test-pool-screen-');
      t.after(() => rmSync(directory, { recursive: true }));
      // Its programs run as nobody.
      chmodSync(directory, 0o755);
      writeFileSync(`${directory}/cage`, compositor(attack), { mode: 0o755 });
      const { take } = await poolOf(t, {
        size: 1,
        acceleration: ACCELERATION,
        identity: NOBODY,
        graphics: 'vnc,compositor=cage',
        mounts: [`host-bind:/usr/local/bin=${directory}`],
      });
      const sandbox = await take();
      assert.equal((await sandbox.run('ls /tmp/attacked; echo here')).stdout, '/tmp/attacked\nhere\n');
    });
});
