/** Where no daemon of libvirt's is, root's default is the embedded driver, and libvirt is not loaded to find that out. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { mounted } from '../helpers/hide.js';
import { uniqueName } from '../helpers/leftovers.js';
import { startSandbox } from '../helpers/run.js';
import { TCG } from '../helpers/snapshots.js';

/** In a mount namespace without sockets of libvirt's. */
const WITHOUT_DAEMON = mounted('mount -t tmpfs none /run/libvirt');

describe('without a daemon', { skip: embedded.skip }, () => {
  it('root has the embedded driver, and the launcher no libvirt', async () => {
    const args = [...TCG, '-v', '-n', uniqueName(), '--', 'sh', '-c', 'echo up; read line'];
    const running = startSandbox(args, { through: WITHOUT_DAEMON, input: 'open' });
    await running.until(/^up\n/);
    const maps = readFileSync(`/proc/${running.pid}/maps`, 'utf8');
    assert.match(maps, /\/node\n/);
    assert.doesNotMatch(maps, /libvirt/);
    running.child.stdin?.end('\n');
    const { code, stderr } = await running.result;
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /libvirt: the embedded driver, because there is no \/run\/libvirt\/virtqemud-sock and no \/run\/libvirt\/libvirt-sock$/m,
    );
  });
});
