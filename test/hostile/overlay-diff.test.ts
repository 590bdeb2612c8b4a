/**
 * Promise: virt-sandbox-ctl diff opens no way to the layers of an overlay, and nothing that the sandbox does to it harms
 * who asks. The attacker is user 0 inside a machine, without capabilities and with all. The victims are its own layers,
 * which nobody without capabilities may reach, and the terminal and the memory of who asks.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { connectSandbox } from '../../src/control/connect.js';
import { KEPT_FD } from '../../src/protocol/wire.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, lxc } from '../helpers/connections.js';
import { ctl, detached, fails, said, startCtl } from '../helpers/ctl.js';
import { ask } from '../helpers/inside.js';
import { makeOverlayTree } from '../helpers/overlay-tree.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-diff-');
let tree: string;
before(() => {
  tree = makeOverlayTree(ground);
});
after(() => rmSync(ground, { recursive: true, force: true }));

/** Where the init holds them. */
const KEPT = `/proc/1/fd/${KEPT_FD}`;

/** Ways to the descriptor that the init holds. */
const WAYS = {
  list: `ls -A ${KEPT}/`,
  upper: `ls ${KEPT}/upper ${KEPT}/upper/0`,
  cwd: `cd ${KEPT} && pwd`,
  own: `for fd in /proc/[2-9]*/fd/${KEPT_FD} /proc/self/fd/${KEPT_FD}; do ls "$fd/"; done`,
  root: 'ls /proc/1/root/overlay /proc/1/cwd/overlay /dev/.overlay',
  mounts: "grep -c ' /overlay\\| /dev/.overlay' /proc/mounts",
} as const;

/** Looks through every process that is there while others start, and prints what it gets hold of. */
const LURK = `
import os
path, found = "/proc/%s/fd/${KEPT_FD}/", set()
print("lurking", flush=True)
while not os.path.exists("/tmp/enough"):
  for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
      names = os.listdir(path % pid)
    except OSError:
      continue
    if pid not in found:
      print(pid, names, flush=True)
      found.add(pid)
print("looked", flush=True)`;

/** Stops the first process that the init starts, when it has begun to list. */
const STOP = `
import glob, os, signal, time
seen = set(os.listdir("/proc"))
print("ready", flush=True)
def late():
  while True:
    for pid in filter(str.isdigit, set(os.listdir("/proc")) - seen):
      try:
        if any(os.readlink(fd).endswith("/many") for fd in glob.glob("/proc/%s/fd/*" % pid)): return int(pid)
      except OSError: pass
pid = late()
os.kill(pid, signal.SIGSTOP)
print("stopped", pid, os.getpid(), flush=True)
while os.path.exists("/proc/%d" % pid): time.sleep(0.1)
print("gone", flush=True)`;

for (const way of [embedded, lxc])
  describe(`the layers, over ${way.uri}`, { skip: way.skip }, () => {
    for (const options of [[], ['--userns']])
      it(`are out of reach without capabilities ${options.join(' ')}`, async () => {
        const words = ['-c', way.uri, ...(way === embedded ? ACCEL : []), ...options, '--overlay'];
        const found = await ask(words, WAYS, way.options);
        // They are there, and closed.
        for (const name of ['list', 'upper'] as const) assert.match(found[name], /^(?:.*Permission denied\s*)+$/, name);
        assert.match(found.cwd, /Permission denied|can't cd to/);
        assert.match(found.own, /^(?:.*(?:Permission denied|No such file or directory)\s*)+$/);
        assert.doesNotMatch(found.root, /upper|work/);
        assert.equal(found.mounts, '0');
      });

    it('are with nobody who starts', async (t) => {
      const options = [...(way === embedded ? ACCEL : []), '--overlay'];
      const name = await detached(t, way.uri, { options }, way.options);
      const lurking = startCtl(['exec', name, 'python3', '-c', LURK], way.options);
      await lurking.until(/^lurking$/m);
      for (let round = 0; round < 5; round += 1)
        await Promise.all(Array.from({ length: 8 }, () => said(['exec', name, 'true'], way.options)));
      await said(['exec', name, 'touch', '/tmp/enough'], way.options);
      const { out } = await lurking.result;
      assert.equal(out, 'lurking\nlooked\n');
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
    await inside(`mkdir ${KEPT}/upper/led ${KEPT}/upper/up; python3 -c 'import os
os.setxattr("${KEPT}/upper/led", "trusted.overlay.redirect", b"/../../root")
os.setxattr("${KEPT}/upper/up", "trusted.overlay.redirect", b"..")
for at, path in enumerate(("/proc", "/sys/kernel", "/dev", "/tmp", "/run/lock")):
  os.mkdir("${KEPT}/upper/led%d" % at); os.setxattr("${KEPT}/upper/led%d" % at, "trusted.overlay.redirect", path.encode())'`);
    const lines = (await said(['diff', name])).split('\n').filter((line) => /^. \/(?:led|up)/.test(line));
    assert.deepEqual(lines, ['A /led', 'A /led0', 'A /led1', 'A /led2', 'A /led3', 'A /led4', 'A /up']);
    // A tree of the root for each of many is a long list, and has an end.
    await inside(`cd ${KEPT}/upper; mkdir many; cd many; python3 -c 'import os
for at in range(200):
  os.mkdir(str(at)); os.setxattr(str(at), "trusted.overlay.redirect", b"${tree}")'`);
    assert.match(await said(['diff', name]), /A \/many\/199\/file/);
    await inside('mount -t tmpfs none /proc');
    await fails(['diff', name], /cannot be read: .*; .*stop it/);
  });

  it('does not hold up who asks', async (t) => {
    const name = await detached(t, embedded.uri, { options: [...ACCEL, '-p', '--overlay'] });
    await said(['exec', name, 'sh', '-c', `mkdir ${tree}/many; cd ${tree}/many; seq 30000 | xargs touch`]);
    const stopping = startCtl(['exec', name, 'python3', '-c', STOP]);
    await stopping.until(/^ready$/m);
    const sandbox = await connectSandbox(name);
    t.after(() => sandbox.close());
    await assert.rejects(sandbox.changes(2000), { code: 'overlay-unreadable', message: /has sent nothing for 2 s/ });
    // It was stopped, and was killed.
    await stopping.until(/^stopped \d+ \d+$/m);
    await stopping.until(/^gone$/m);
  });
});
