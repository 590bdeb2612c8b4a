/**
 * Promise: virt-sandbox-ctl diff opens no way to the layers of an overlay, and nothing that the sandbox does to it harms
 * who asks. The attacker is user 0 inside a machine, without capabilities and with all. The victims are its own layers,
 * which nobody without capabilities may reach, and the terminal and the memory of who asks.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, lxc } from '../helpers/connections.js';
import { ctl, detached, fails, said } from '../helpers/ctl.js';
import { ask } from '../helpers/inside.js';
import { makeOverlayTree } from '../helpers/overlay-tree.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-diff-');
let tree: string;
before(() => {
  tree = makeOverlayTree(ground);
});
after(() => rmSync(ground, { recursive: true, force: true }));

/** Ways to the descriptor that the init holds. */
const WAYS = {
  list: 'ls -A /proc/1/fd/100/',
  upper: 'ls /proc/1/fd/100/upper /proc/1/fd/100/upper/0',
  cwd: 'cd /proc/1/fd/100 && pwd',
  own: 'for fd in /proc/[0-9]*/fd/100; do ls "$fd/"; done; ls /proc/self/fd/100/',
  root: 'ls /proc/1/root/overlay /proc/1/cwd/overlay /dev/.overlay',
  mounts: "grep -c ' /overlay\\| /dev/.overlay' /proc/mounts",
} as const;

for (const way of [embedded, lxc])
  describe(`the layers, over ${way.uri}`, { skip: way.skip }, () => {
    for (const options of [[], ['--userns']])
      it(`are out of reach without capabilities ${options.join(' ')}`, async () => {
        const words = ['-c', way.uri, ...(way === embedded ? ACCEL : []), ...options, '--overlay'];
        const found = await ask(words, WAYS, way.options);
        for (const name of ['list', 'upper', 'cwd', 'own'] as const)
          assert.match(found[name], /^(?:.*(?:Permission denied|No such file or directory|can't cd to .*)\s*)+$/, name);
        assert.doesNotMatch(found.root, /upper|work/);
        assert.equal(found.mounts, '0');
      });
  });

describe('what root with capabilities does', { skip: embedded.skip }, () => {
  it('shows as it is, or is an error', async (t) => {
    const name = await detached(t, embedded.uri, { options: [...ACCEL, '-p', '--overlay'] });
    const inside = (script: string) => said(['exec', name, 'sh', '-c', script]);
    await inside(`cd ${tree}; rm -r sub; python3 -c 'import os
for name in (b"\\n\\x1b]0;title\\x07", b"\\xff\\xfe", b"D " + b"x" * 250): open(name, "w")'`);
    const { out } = await ctl(['diff', name]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what nothing may have
    assert.doesNotMatch(out, /[\x00-\x09\x0b-\x1f]/);
    assert.ok(out.split('\n').every((line) => line === '' || /^[ACD] \//.test(line)));
    // Marks of overlayfs's own, put into the layer itself, lead to nothing but the root.
    await inside(`mkdir /proc/1/fd/100/upper/led /proc/1/fd/100/upper/up; python3 -c 'import os
os.setxattr("/proc/1/fd/100/upper/led", "trusted.overlay.redirect", b"/../../root")
os.setxattr("/proc/1/fd/100/upper/up", "trusted.overlay.redirect", b"..")'`);
    const lines = (await said(['diff', name])).split('\n').filter((line) => /^. \/(?:led|up)\b/.test(line));
    assert.deepEqual(lines, ['A /led', 'A /up']);
    // A whole root for each of many: more names than there is room for, or a long list, and an end.
    await inside(`cd /proc/1/fd/100/upper; mkdir many; cd many; python3 -c 'import os
for at in range(200):
  os.mkdir(str(at)); os.setxattr(str(at), "trusted.overlay.redirect", b"${tree}")'`);
    assert.match(await said(['diff', name]), /A \/many\/199\/file/);
    await inside('mount -t tmpfs none /proc');
    await fails(['diff', name], /cannot be read: .*; .*stop it/);
  });
});
