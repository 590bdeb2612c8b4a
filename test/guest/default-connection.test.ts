/**
 * Where no daemon of libvirt's is, or none that could start a sandbox, root's default is the embedded driver, and libvirt
 * is not loaded to find that out.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { mounted } from '../helpers/hide.js';
import { uniqueName } from '../helpers/leftovers.js';
import { startSandbox } from '../helpers/run.js';

const HOSTS = [
  {
    without: 'sockets of a daemon',
    through: mounted('mount -t tmpfs none /run/libvirt'),
    skip: embedded.skip,
    why: 'there is no /run/libvirt/virtqemud-sock and no /run/libvirt/libvirt-sock',
  },
  {
    // As Debian has it.
    without: "a way for QEMU through the daemon's directory",
    through: mounted('mkdir -p /var/lib/libvirt/qemu && mount -t tmpfs -o mode=750 none /var/lib/libvirt/qemu'),
    skip: embedded.skip || system.skip,
    why:
      '/var/lib/libvirt/qemu is closed to QEMU, which has a user of its own ' +
      '(chmod o+x /var/lib/libvirt/qemu opens it)',
  },
];

for (const { without, through, skip, why } of HOSTS) {
  it(`without ${without} root has the embedded driver, and the launcher no libvirt`, { skip }, async () => {
    const args = [...ACCEL, '-v', '-n', uniqueName(), '--', 'sh', '-c', 'echo up; read line'];
    const running = startSandbox(args, { through, input: 'open' });
    await running.until(/^up\n/);
    const maps = readFileSync(`/proc/${running.pid}/maps`, 'utf8');
    assert.match(maps, /\/node\n/);
    assert.doesNotMatch(maps, /libvirt/);
    running.child.stdin?.end('\n');
    const { code, stderr } = await running.result;
    assert.equal(code, 0, stderr);
    assert.ok(stderr.split('\n').includes(`virt-sandbox: libvirt: the embedded driver, because ${why}`), stderr);
  });
}
