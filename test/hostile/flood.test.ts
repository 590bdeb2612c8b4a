/**
 * Promise: nothing that a guest makes the host write or keep grows without a bound (docs/security.md, "Bounds").
 * The attacker is root in a machine, with a driver of its own that has QEMU write messages. The victim is
 * /run, which is memory of the host.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { sizeOf } from '../../src/libvirt/domain-logs.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, ROOT_STATE, uniqueName } from '../helpers/leftovers.js';
import { assertRun, REPOSITORY, startSandbox } from '../helpers/run.js';

/** QEMU needs 80 bytes for each. */
const MESSAGES = 12_000;

/** The bound: init/supervisor/bounded_log.h. */
const LOG_BYTES = 262_144;

/** What the log would have without the bound, in bytes. QEMU writes on while the supervisor gets no processor. */
const UNBOUND_BYTES = 80 * MESSAGES;

/** Outside /tmp, which a sandbox replaces. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-');
chmodSync(ground, 0o755);
after(() => rmSync(ground, { recursive: true, force: true }));

/** Sizes of a log while something goes on: the largest, and the last. */
async function watched(log: string, until: Promise<unknown>): Promise<{ most: number; last: number }> {
  const sizes = { most: 0, last: 0 };
  const look = () => {
    sizes.last = sizeOf(log);
    sizes.most = Math.max(sizes.most, sizes.last);
  };
  const timer = setInterval(look, 5);
  await until.finally(() => clearInterval(timer));
  look();
  return sizes;
}

/** What floods the log of QEMU when it runs inside. */
const FLOOD = join(ground, 'flood');
const COLD = ['--boot', 'cold'];
const FIRST_DISK = '$(basename $(readlink -f /sys/block/vda/device/..))';

/** An empty disk, for the attacker's driver. */
function diskOf(name: string): string {
  const disk = join(ground, name);
  writeFileSync(disk, '');
  truncateSync(disk, 1 << 20);
  return `file:disk=${disk}`;
}

function logOf(name: string): string {
  return join(ROOT_STATE, name, 'libvirt/log/qemu', `${name}.log`);
}

async function started(t: TestContext, options: readonly string[], script: string) {
  const name = uniqueName();
  const args = ['-c', embedded.uri, ...ACCEL, '-p', '-n', name, ...options, '--', 'sh', '-c', script];
  const running = startSandbox(args, { input: 'open', timeout: 300_000 });
  t.after(() => running.child.kill('SIGTERM'));
  return { name, running };
}

describe('a guest that floods', { skip: embedded.skip || unlessProgram('gcc') }, () => {
  before(() => {
    const source = join(REPOSITORY, 'test/hostile/programs/virtio-flood.c');
    execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-static', '-o', FLOOD, source]);
  });

  it("fills QEMU's log up to a bound, and the sandbox goes on", async (t) => {
    const script = `echo up; read line; ${FLOOD} ${FIRST_DISK} ${MESSAGES}
      cat /etc/hostname >/dev/null && echo on; read line`;
    const { name, running } = await started(t, [...COLD, '--disk', diskOf('disk')], script);
    await running.until(/^up\n/);
    const log = logOf(name);
    const before = sizeOf(log);
    running.child.stdin?.write('\n');
    const flooded = running.until(/^(\d+)\non\n/m);
    const { most, last } = await watched(log, flooded);
    // A reset may overtake a message.
    const seen = Number((await flooded)[1]);
    assert.ok(before > 0 && seen > MESSAGES / 2, `${seen} of ${MESSAGES} messages, after ${before} bytes`);
    assert.ok(most < UNBOUND_BYTES / 2, `the log had ${most} bytes, and ${last} at the end`);
    while (sizeOf(log) > LOG_BYTES) await setTimeout(20);
    assert.match(readFileSync(log, 'latin1'), /^[^\n]*starting up[\s\S]*Guest says index 65535 is available/);
    running.child.stdin?.end('\n');
    assertRun(await running.result, 0, `up\n${seen}\non\n`);
    await assertNothingLeft(name);
  });

  it("fills QEMU's log up to a bound while its launcher is stopped", async (t) => {
    const script = `echo up; while :; do ${FLOOD} ${FIRST_DISK} ${MESSAGES} >/dev/null; done`;
    const { name, running } = await started(t, ['--disk', diskOf('disk')], script);
    await running.until(/^up\n/);
    process.kill(running.pid, 'SIGSTOP');
    t.after(() => running.child.kill('SIGCONT'));
    const log = logOf(name);
    let size = sizeOf(log);
    for (let cuts = 0; cuts < 2; ) {
      await setTimeout(1);
      const now = sizeOf(log);
      if (now < size) cuts += 1;
      size = now;
    }
    process.kill(running.pid, 'SIGCONT');
    process.kill(running.pid, 'SIGTERM');
    assert.equal((await running.result).code, 143);
    await assertNothingLeft(name);
  });

  it('has no virtio device that speaks the older virtio', async (t) => {
    // https://docs.oasis-open.org/virtio/virtio/v1.2/virtio-v1.2.html, 4.1.2: from 0x1040 on
    const script = 'for device in /sys/bus/virtio/devices/*/../device; do cat $device; done; read line';
    const more = [...COLD, '--disk', diskOf('disk'), '-N', 'dhcp'];
    const { name, running } = await started(t, more, `${script}`);
    running.child.stdin?.end('\n');
    const { out, code } = await running.result;
    assert.equal(code, 0);
    const ids = out.trim().split('\n').map(Number);
    // The channel, the root, the disk and the network.
    assert.equal(ids.length, 4, out);
    assert.deepEqual(
      ids.filter((id) => id < 0x1040),
      [],
    );
    await assertNothingLeft(name);
  });
});
