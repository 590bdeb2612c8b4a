/**
 * Promise: a guest gets no virtualization of the processor's to play with, and who requires KVM gets a machine under KVM
 * or none.
 * The attacker is root in a machine, who loads the kernel's KVM. The victim is the host's KVM, which would have to run
 * the attacker's machines.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TCG } from '../helpers/acceleration.js';
import { embedded, lxc, system } from '../helpers/connections.js';
import { WITHOUT_KVM } from '../helpers/hide.js';
import { uniqueName } from '../helpers/leftovers.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { privateStore } from '../helpers/snapshots.js';

/** The features in /proc/cpuinfo, and whether there is a KVM. */
const SCRIPT = `grep -owE 'svm|vmx' /proc/cpuinfo | sort -u
modprobe kvm_amd 2>/dev/null; modprobe kvm_intel 2>/dev/null
test -c /dev/kvm && echo kvm
echo end`;

const inside = async (uri: string, ...options: readonly string[]) => {
  const args = ['-c', uri, ...TCG, '-p', '-n', uniqueName(), ...options, '--', 'sh', '-c', SCRIPT];
  return runSandbox(args);
};

for (const { uri, skip } of [embedded, system]) {
  it(`a machine over ${uri} has no svm and no vmx`, { skip }, async () => {
    assertRun(await inside(uri), 0, 'end\n');
  });
}

// The processor is the same over each connection.
it('a machine has svm with --nested-kvm', { skip: embedded.skip }, async () => {
  assertRun(await inside(embedded.uri, '--nested-kvm'), 0, 'svm\nkvm\nend\n');
});

describe('--require-kvm', { skip: embedded.skip }, () => {
  const required = (...options: readonly string[]) => ['--require-kvm', '-n', uniqueName(), ...options, '--', 'true'];

  it('refuses emulation where KVM does not work', async (t) => {
    // A store of its own: in the one that the tests share, a host with KVM would not be used from here on.
    const { env, remove } = privateStore();
    t.after(remove);
    const result = await runSandbox(required('-c', embedded.uri), { env, through: WITHOUT_KVM });
    assertFailure(result, /^virt-sandbox: domain: KVM does not run a guest here: .+; use a host where KVM works, or/);
  });

  it('contradicts --accel tcg', async () => {
    const result = await runSandbox(required('-c', embedded.uri, ...TCG));
    assertFailure(result, /KVM is required, and emulation is asked for; leave out --require-kvm or --accel tcg$/);
  });

  it('refuses a container', { skip: lxc.skip }, async () => {
    const result = await runSandbox(required('-c', lxc.uri), lxc.options);
    assertFailure(result, /KVM is required, and lxc:\/\/\/ starts a container/);
  });

  it('is recommended by -v where a machine is emulated', async () => {
    const { stderr } = await runSandbox(['-v', '-c', embedded.uri, ...TCG, '--', 'true']);
    assert.match(stderr, /^virt-sandbox: security: the machine is emulated, .+; --require-kvm refuses that$/m);
  });
});
