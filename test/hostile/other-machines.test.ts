/**
 * Promise: a QEMU that its guest has taken over reaches no other sandbox and none of the boot images.
 * The attacker runs as the user of one sandbox's QEMU. The victims are the QEMU of another sandbox, its sockets and its
 * disk, and the files that sandboxes boot from.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded, system } from '../helpers/connections.js';
import { assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeSnapshot } from '../helpers/snapshots.js';
import { attacksOn, below, can, endMachine, type Machine, startMachine } from '../helpers/taken-over.js';

let cache = '';
before(async () => {
  cache = makeCache();
  if (embedded.skip === false) await bakeSnapshot(['-c', embedded.uri], { env: { XDG_CACHE_HOME: cache } });
});
after(() => removeCache(cache));

for (const way of [embedded, system]) {
  describe(`the QEMU of a sandbox over ${way.uri}`, { skip: way.skip }, () => {
    /** No QEMU owns a file that others boot from, or may write to one. */
    const assertStoreIsRoots = (machine: Machine, what: string) => {
      const files = below(join(cache, 'virt-sandbox')).filter((path) => statSync(path).isFile());
      assert.ok(files.some((path) => path.endsWith('/vmlinux')));
      for (const path of files) assert.equal(statSync(path).uid, 0, `${path} with ${what}`);
      for (const path of files) assert.ok(!can(machine, `test -w '${path}'`), path);
    };

    it('reaches no other sandbox, and owns nothing that others boot from', async (t) => {
      const disk = join(scratchDirectory(t), 'disk');
      writeFileSync(disk, Buffer.alloc(1 << 20));
      // Whatever its group may do: all QEMUs have one group.
      chmodSync(disk, 0o660);
      const attacker = await startMachine(t, { way, cache });
      assertStoreIsRoots(attacker, 'a snapshot');
      const victim = await startMachine(t, { way, cache }, '--boot', 'cold', '--disk', `file:secret=${disk}`);
      assertStoreIsRoots(victim, 'a disk');
      assert.notEqual(attacker.uid, victim.uid);
      for (const [name, script] of Object.entries(attacksOn(attacker))) assert.ok(can(attacker, script), name);
      for (const [name, script] of Object.entries(attacksOn(victim))) assert.ok(!can(attacker, script), name);
      assert.ok(!can(attacker, `head -c 1 ${disk}`), 'the disk');
      // Its launcher writes files there meanwhile, under other names first.
      for (const path of below(`/run/libvirt-sandbox/${victim.name}`))
        if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === false)
          assert.ok(!can(attacker, `test -w '${path}'`), path);
      await endMachine(attacker, way);
      await endMachine(victim, way);
      // And the disk is root's again.
      assert.equal(execFileSync('stat', ['-c', '%u', disk], { encoding: 'utf8' }), '0\n');
    });

    it('does not read the memory of another for its guest either', async (t) => {
      const victim = await startMachine(t, { way, cache });
      // Where the root share has the host's /proc in it, QEMU reads that as its own user.
      const script = `mkdir /tmp/host; mount --bind / /tmp/host; cd /tmp/host/proc
        for file in */maps ${victim.pid}/environ; do head -c 1 $file >/dev/null 2>&1 && echo $file; done; echo tried`;
      const args = ['-c', way.uri, ...ACCEL, '-p', '--', 'sh', '-c', script];
      assertRun(await runSandbox(args, { env: { XDG_CACHE_HOME: cache } }), 0, 'tried\n');
      await endMachine(victim, way);
    });

    it('owns nothing that others boot from, and reaches no network, when it has booted', async (t) => {
      const machine = await startMachine(t, { way, cache }, '--boot', 'cold');
      assertStoreIsRoots(machine, 'a boot');
      // libvirtd's QEMUs have its network.
      if (way === embedded) await assertNoNetwork(t, machine);
      await endMachine(machine, way);
    });
  });
}

async function assertNoNetwork(t: TestContext, { pid }: Machine): Promise<void> {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const reach = `bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}'`;
  assert.equal(spawnSync('sh', ['-c', reach]).status, 0);
  const inside = ['--net', `--target=${pid}`, '--', 'sh', '-c', reach];
  assert.notEqual(spawnSync('nsenter', inside).status, 0);
}
