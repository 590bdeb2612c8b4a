/**
 * SELinux for real: boots a sandbox whose kernel has SELinux, loads Debian's policy on a labelled root, and runs
 * libvirtd there, which starts sandboxes while SELinux is enforced. The attacker is a QEMU that its guest has taken
 * over: its monitor is asked to open files that every user may open.
 * The nested machines would boot for minutes. They are confined before they run, and stopped then.
 */

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { REPOSITORY, runSandbox } from '../helpers/run.js';
import { DEBIAN_KERNEL, freshDirectory, unlessInstalled } from '../helpers/scratch.js';
import { onSelinuxHost, selinuxHost, unlessPolicy } from '../helpers/selinux.js';

const reason = { why: 'this test', worth: 'nothing', risk: 'none' };
/** How the host boots: the default, with SELinux in place of AppArmor. */
const PROFILE = {
  format: 1,
  name: 'selinux',
  description: 'A kernel with SELinux',
  kernelArguments: [{ argument: 'lsm=lockdown,capability,yama,selinux', ...reason }],
  initcallBlacklist: [],
  machine: { firmware: 'qboot', bus: 'root', legacy: 'absent' },
};

/** QEMU maps kernel and initrd; Debian's policy lets it read them only. docs/security.md names this line. */
const ALLOW = '(allow virt_domain virt_content_t (file (map)))\n';

const STATIC = 'system_u:system_r:svirt_t:s0:c1,c2';

/** Each part prints a heading first. */
const COMMANDS = `
sandbox="/mnt/bin/virt-sandbox -c qemu:///system --accel tcg --boot cold --boot-timeout 600 --memory 128"
virtual() { virsh -q -c qemu:///system "$@"; }
label() { stat -c %C "$1"; }
launchers=
start() { # NAME OPTION…
  $sandbox -n "$@" -- /bin/true >/run/$1.log 2>&1 &
  launchers="$launchers $!"
  # virsh itself keeps a processor busy for a second here.
  while [ ! -s /run/libvirt/qemu/$1.pid ] && kill -0 $! 2>/dev/null; do sleep 0.1; done
  # Stops the machine as soon as libvirt has started it.
  until virtual suspend $1 >/dev/null 2>&1; do
    kill -0 $! 2>/dev/null || { echo "$1: $(cat /run/$1.log)"; dmesg | grep permissive=0 | tail -n 20; return; }
    sleep 0.1
  done
}
# Has the QEMU of the sandbox "one" open each file.
opening() { # FILE…
  local file commands=
  for file; do
    drive="file.filename=$file,file.locking=off,format=raw,if=none,readonly=on,id=drive$((count += 1))"
    commands="$commands; qemu-monitor-command one --hmp 'drive_add 0 $drive'"
  done
  virtual "\${commands#; }" 2>&1 | sed "s/\\r//" | grep .
}

images=/var/lib/libvirt/images
for name in one two; do truncate -s 1M $images/$name; done
for file in /etc/inside /var/log/outside; do truncate -s 4096 $file; done
chmod 666 $images/* /etc/inside /var/log/outside
echo "== start"
for name in one two; do start $name --disk file:disk=$images/$name; done
start fixed -s static,label=${STATIC}

for name in one two fixed; do
  echo "== $name"
  sed "s/\\x00//" /proc/$(cat /run/libvirt/qemu/$name.pid)/attr/current
  echo
  booted=$(virtual dumpxml $name | sed -n "s,.*<\\(kernel\\|initrd\\)>\\(.*\\)</.*,\\2,p")
  for file in $booted $(ls $images/$name 2>/dev/null); do
    echo "$file $(label $file) $(stat -c "%u %a" $file)"
  done
done
files="$images/one /etc/inside $images/two /var/log/outside"
echo "== $(getenforce)"
opening $files
setenforce 0
echo "== $(getenforce)"
opening $files
setenforce 1
kill $launchers
wait
echo "== after"
ls /run/libvirt-sandbox
for file in $images/one /boot/vmlinuz-${DEBIAN_KERNEL}; do label $file | sed "s/.*object_r://"; done
echo "== end"
`;

const skip = embedded.skip || unlessProgram('mkfs.ext4') || unlessInstalled(DEBIAN_KERNEL) || unlessPolicy;

describe('on a host that enforces SELinux', { skip }, () => {
  /** What each part of the script printed, by its heading. */
  let said: ReadonlyMap<string, readonly string[]>;

  const directory = freshDirectory();
  after(() => rmSync(directory, { recursive: true, force: true }));

  before(async () => {
    const profile = join(directory, 'profile.json');
    writeFileSync(profile, JSON.stringify(PROFILE));
    const host = selinuxHost(directory, ALLOW);
    const result = await runSandbox(
      [
        ...['-c', embedded.uri, '--kernver', DEBIAN_KERNEL, '--profile', profile, '-p', '--memory', '3G'],
        ...['--disk', `file:root=${host}`, '-m', `host-bind:/mnt=${REPOSITORY},ro`],
        ...['--', 'sh', '-c', onSelinuxHost(COMMANDS)],
      ],
      { timeout: 900_000 },
    );
    const parts = result.out.split(/^== /m).map((part) => part.trim().split('\n'));
    said = new Map(parts.map(([heading = '', ...lines]) => [heading, lines]));
    assert.ok(said.has('end'), `${result.out}\n${result.stderr}`);
  });

  /** The categories of the label that the QEMU of a sandbox has. */
  function categories(name: string): string {
    const label = said.get(name)?.[0] ?? '';
    const [, found = ''] = /^system_u:system_r:svirt_t:s0:(c\d+,c\d+)$/.exec(label) ?? [];
    assert.notEqual(found, '', `${name}: ${label}`);
    return found;
  }

  /** The files of a sandbox: label, owner and mode. */
  function files(name: string): { base: string; facts: string }[] {
    return (said.get(name) ?? []).slice(1).map((line) => {
      const [path = '', ...facts] = line.split(' ');
      return { base: path.replace(/.*\//, ''), facts: facts.join(' ') };
    });
  }

  const CONTENT = 'system_u:object_r:virt_content_t:s0';

  it('sandboxes start', () => {
    assert.deepEqual(said.get('start'), []);
  });

  it('each QEMU runs under a label with categories of its own', () => {
    assert.notEqual(categories('one'), categories('two'));
  });

  it('a static label is that of QEMU', () => {
    assert.equal(said.get('fixed')?.[0], STATIC);
  });

  it("libvirt labels a sandbox's disk and the kernel and initrd that it boots", () => {
    const [kernel, initrd, disk] = files('one');
    assert.match(`${kernel?.facts}, ${initrd?.facts}`, new RegExp(`^${CONTENT} \\d+ 444, ${CONTENT} \\d+ 444$`));
    assert.ok(disk?.facts.startsWith(`system_u:object_r:svirt_image_t:s0:${categories('one')} `), disk?.facts);
  });

  it("the store's kernel and initrd are labelled and stay root's", () => {
    assert.deepEqual(
      files('fixed').map(({ facts }) => facts),
      [`${CONTENT} 0 444`, `${CONTENT} 0 444`],
    );
  });

  it('QEMU opens its own disk and what the policy lets it read, but no other disk and no other file', () => {
    assert.deepEqual(said.get('Enforcing'), [
      'OK',
      'OK',
      "Could not open '/var/lib/libvirt/images/two': Permission denied",
      "Could not open '/var/log/outside': Permission denied",
    ]);
  });

  it('nothing but SELinux keeps QEMU from them', () => {
    assert.deepEqual(said.get('Permissive'), ['OK', 'OK', 'OK', 'OK']);
  });

  it('nothing is left, and labels are as before', () => {
    assert.deepEqual(said.get('after'), ['virt_image_t:s0', 'boot_t:s0']);
  });
});
