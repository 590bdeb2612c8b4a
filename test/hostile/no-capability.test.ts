/**
 * Promise: without --privileged the application has no capability and cannot get one, not even as user 0.
 * The attacker is user 0 inside. The victim is the kernel, which starts programs with every capability: one that the
 * attacker gets it to start writes its capabilities to a file.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embedded, lxc, system } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask, askInside } from '../helpers/inside.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';

/** Writes a program to PATH that tells its capabilities in /tmp/got. */
const plant = (path: string) =>
  `printf '#!/bin/sh\\n/bin/grep -E "Cap(Eff|Bnd)" /proc/self/status >/tmp/got 2>&1\\n' >${path}; chmod 755 ${path}`;
/** What such a program told, if it was started. */
const TOLD = 'for wait in 1 2 3 4 5; do [ -s /tmp/got ] && break; sleep 0.1; done; cat /tmp/got; rm -f /tmp/got';

const ATTACKS = {
  bounding: 'grep CapBnd /proc/self/status',
  privileges: 'grep NoNewPrivs /proc/self/status',
  core: `${plant('/tmp/x')}; echo "|/tmp/x" >/proc/sys/kernel/core_pattern; sh -c 'kill -SEGV $$'; ${TOLD}`,
  sysctl: 'echo 1 >/proc/sys/kernel/sysrq',
  sysrq: 'echo h >/proc/sysrq-trigger',
  interrupts: 'cat /proc/irq/default_smp_affinity >/proc/irq/default_smp_affinity',
  bus: 'for device in /proc/bus/pci/00/*; do : >>$device; break; done',
  module: 'echo 1 >/sys/module/printk/parameters/time',
  memory: 'head -c 1 /proc/kcore | wc -c',
  back: 'mount -o remount,rw /proc/sys; umount /proc/sys',
  namespace: 'unshare --user --map-root-user id -u',
} as const;

/** CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID and CLONE_NEWNET, for unshare(2). */
const NAMESPACES = 0x70020000;

const READ_ONLY = /: Read-only file system$/;

function assertHeld(found: Record<keyof typeof ATTACKS, string>): void {
  assert.match(found.core, /core_pattern: Read-only file system\n/);
  assert.match(found.core, /\/tmp\/got: No such file or directory$/m);
  assert.match(found.bounding, /\t0{16}$/);
  assert.match(found.privileges, /\t1$/);
  for (const path of [found.sysctl, found.sysrq, found.interrupts, found.bus, found.module])
    assert.match(path, READ_ONLY);
  assert.equal(found.memory, '0');
  assert.match(found.back, /permission denied[\s\S]*must be superuser/);
}

for (const way of [embedded, system]) {
  describe(`user 0 in a machine over ${way.uri}`, { skip: way.skip || unlessProgram('unshare', 'perl') }, () => {
    it('gets no capability', async () => {
      const found = await askInside(way, [], ATTACKS);
      assertHeld(found);
      assert.match(found.namespace, /unshare failed: No space left on device/);
    });

    it('gets none with a user namespace of its own either', async () => {
      // User 0 cannot be mapped without a capability. It has every capability in the namespace all the same, until it
      // executes a program.
      const inNamespace = (attack: string, opened: string) =>
        `perl -e '
          syscall(272, ${NAMESPACES}) == 0 or die "unshare: $!\\n";
          if (fork) { wait; exit }
          my ($none, $proc, $sys, $sysfs, $sysctl) = ("none", "/proc", "/sys", "sysfs", "/proc/sys");
          ${attack} == 0 or die "refused: $!\n";
          open(my $file, ">>", "${opened}") or die "mounted, and $!\n"; print "written\n"'`;
      const attacks = {
        remount: inNamespace('syscall(165, $none, $sysctl, $none, 32 | 4096, 0)', '/proc/sys/kernel/panic'),
        unmount: inNamespace('syscall(166, $sysctl, 0)', '/proc/sys/kernel/panic'),
        proc: inNamespace('syscall(165, $none, $proc, substr($proc, 1), 0, 0)', '/proc/sys/kernel/panic'),
        sysfs: inNamespace('syscall(165, $none, $sys, $sysfs, 0, 0)', '/sys/module/printk/parameters/time'),
      };
      const [root, nobody] = [
        await askInside(way, ['--userns'], attacks),
        await askInside(way, ['--userns', '-S', 'nobody'], { ...attacks, namespace: ATTACKS.namespace }),
      ];
      assert.equal(nobody.namespace, '0');
      const refused = 'refused: Operation not permitted';
      for (const { remount, unmount, proc, sysfs } of [root, nobody])
        assert.deepEqual([remount, unmount, proc, sysfs], [refused, 'refused: Invalid argument', refused, refused]);
    });
  });
}

describe('programs that the kernel starts', { skip: embedded.skip || unlessProgram('perl') }, () => {
  it('have no capability, even if the application can replace them', async () => {
    // request_key(2) has the kernel start /sbin/request-key, which is in a directory that the application may write.
    const perl = `perl -e 'my @words = ("user", "nothing", "callout"); syscall(249, @words, 0)'`;
    for (const writable of [['-m', 'ram:/usr/sbin=1M'], ['--overlay']]) {
      const found = await ask(['-c', embedded.uri, ...writable], {
        key: `${plant('/sbin/request-key')}; ${perl}; ${TOLD}`,
      });
      assert.match(found.key, /^CapEff:\t0{16}\nCapBnd:\t0{16}$/, writable[0]);
    }
  });
});

describe('user 0 in a container', { skip: lxc.skip }, () => {
  it('gets no capability', async () => {
    const { bounding, privileges, interrupts } = ATTACKS;
    const found = await askInside(lxc, [], {
      ...{ bounding, privileges, interrupts },
      // Nothing would change if it worked: it is the host's.
      sysctl: 'read v </proc/sys/kernel/panic; echo $v >/proc/sys/kernel/panic',
    });
    assert.match(found.bounding, /\t0{16}$/);
    assert.match(found.privileges, /\t1$/);
    // These files are root's of the host, which user 0 inside is not.
    for (const path of [found.interrupts, found.sysctl])
      assert.match(path, /: (Read-only file system|Permission denied)$/);
  });
});

describe('an ordinary user’s sandbox', { skip: unlessOrdinaryUser() }, () => {
  it('gets no capability', async () => {
    const user = await OrdinaryUser.create();
    try {
      const attacks = { privileges: ATTACKS.privileges, namespace: ATTACKS.namespace };
      const found = await ask(['-c', 'qemu:///embed'], attacks, user.options);
      assert.match(found.privileges, /\t1$/);
      assert.match(found.namespace, /unshare failed: No space left on device/);
    } finally {
      await user.end();
    }
  });
});

describe('with --privileged', { skip: embedded.skip }, () => {
  it('the attacks work, so they are attacks', async () => {
    const found = await ask(['-c', embedded.uri, '-p'], ATTACKS);
    assert.match(found.privileges, /\t0$/);
    assert.match(found.core, /^CapEff:\t0*1ffffffffff\n/m);
    assert.doesNotMatch(found.core, /Read-only/);
    assert.equal(found.namespace, '0');
  });
});
