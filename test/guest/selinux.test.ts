/**
 * SELinux for real: boots a sandbox whose kernel has SELinux, loads Debian's policy on a labelled root, and runs
 * libvirtd there, which starts sandboxes while SELinux is enforced. The attacker is a QEMU that its guest has taken
 * over: its monitor is asked to open files that every user may open.
 * The nested machines would boot for minutes. They are confined before they run, and stopped then. Services with a
 * directory start in permissive mode: Debian's policy does not let libvirtd start a server of files.
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
options="-c qemu:///system --accel tcg --boot cold --boot-timeout 600 --memory 128"
sandbox="/mnt/bin/virt-sandbox $options"
service="/mnt/bin/virt-sandbox-service"
services=/etc/libvirt-sandbox/services
virtual() { virsh -q -c qemu:///system "$@"; }
label() { stat -c %C "$1"; }
launchers=
start() { # NAME OPTION…
  launch $1 $sandbox -n "$@" -- /bin/true
}
create() { # NAME OPTION…
  $service create $options "$@" -- /bin/sleep 1000 >/run/create.log 2>&1 || cat /run/create.log
  sed -i "s/^\\[service\\]/&\\nstarttimeout=900000/" $services/$1/config/sandbox.cfg
}
launch() { # NAME WORD…
  "\${@:2}" >/run/$1.log 2>&1 &
  launchers="$launchers $!"
  # virsh itself keeps a processor busy for a second here.
  while [ ! -s /run/libvirt/qemu/$1.pid ] && kill -0 $! 2>/dev/null; do sleep 0.1; done
  # Stops the machine as soon as libvirt has started it.
  until virtual suspend $1 >/dev/null 2>&1; do
    kill -0 $! 2>/dev/null || { echo "$1: $(cat /run/$1.log)"; dmesg | grep permissive=0 | tail -n 20; return; }
    sleep 0.1
  done
}
# Has the QEMU of a sandbox open each file.
opening() { # SANDBOX read|write FILE…
  local file commands= readonly=on
  [ $2 = read ] || readonly=off
  for file in "\${@:3}"; do
    drive="file.filename=$file,file.locking=off,format=raw,if=none,readonly=$readonly,id=drive$((count += 1))"
    commands="$commands; qemu-monitor-command $1 --hmp 'drive_add 0 $drive'"
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
create image -i 150
for name in left right; do create $name; done
create plain -s dynamic
{ $service export -o /run/plain.tar plain && $service import --trust /run/plain.tar moved; } >/run/moved.log 2>&1 || cat /run/moved.log
launch image $service run image
$service run left >/run/refused.log 2>&1
setenforce 0
for name in left right; do launch $name $service run $name; done
setenforce 1

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
states=/var/lib/libvirt/filesystems
echo "== services"
for name in image left right; do
  state=$states/$name/layers/upper
  [ $name != image ] || state=$images/image.qcow2
  echo "$name $(sed "s/\\x00//" /proc/$(cat /run/libvirt/qemu/$name.pid)/attr/current) $(label $state)"
done
grep -h -e ^label= -e ^dynamic= -e ^filetype= $services/image/config/sandbox.cfg
echo "== moved"
grep -h -e ^label= -e ^filetype= $services/moved/config/sandbox.cfg
label $states/moved/layers/upper
echo "== refused"
cat /run/refused.log
# Modes keep nobody from them.
chmod 666 $images/image.qcow2
for name in left right; do
  chmod 777 $states/$name $states/$name/layers $states/$name/layers/upper
  truncate -s 4096 $states/$name/layers/upper/own
  chmod 666 $states/$name/layers/upper/own
done
own="$images/image.qcow2 $states/left/layers/upper/own $states/right/layers/upper/own"
for mode in Enforcing Permissive; do
  [ $mode = Enforcing ] || setenforce 0
  echo "== $(getenforce)"
  opening one read $files
  for name in image left right; do
    echo "== $mode $name"
    opening $name write $own
  done
done
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
      { timeout: 800_000 },
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

  /** The labels of a service and of its state. */
  function service(name: string): { label: string; state: string } {
    const line = (said.get('services') ?? []).find((one) => one.startsWith(`${name} `)) ?? '';
    const [, label = '', state = ''] = line.split(' ');
    return { label, state };
  }

  it('each service has categories of its own, and so has its state, in an image and in a directory', () => {
    const levels = ['image', 'left', 'right'].map((name) => {
      const { label, state } = service(name);
      const [, level = ''] = /^system_u:system_r:svirt_t:(s0:c\d+,c\d+)$/.exec(label) ?? [];
      assert.notEqual(level, '', label);
      assert.equal(state, `system_u:object_r:svirt_image_t:${level}`);
      return level;
    });
    assert.equal(new Set(levels).size, 3);
    // libvirt labels that one anew at each start.
    assert.deepEqual((said.get('services') ?? []).slice(3), ['dynamic=true']);
  });

  it('a service of an archive has a label of this host, and categories of its own', () => {
    const [own = '', filetype, state] = said.get('moved') ?? [];
    const [, level = ''] = /^label=system_u:system_r:svirt_t:(s0:c\d+,c\d+)$/.exec(own) ?? [];
    assert.deepEqual([filetype, state], ['filetype=svirt_image_t', `system_u:object_r:svirt_image_t:${level}`], own);
    assert.ok(!['left', 'right'].some((name) => service(name).label.endsWith(`:${level}`)), own);
  });

  it('a policy that lets libvirtd start no server of a directory is what is told', () => {
    const text = (said.get('refused') ?? []).join('\n');
    assert.match(text, /directories did not run: .*Permission denied; see what SELinux denied: dmesg \| grep avc; /);
  });

  it('the QEMU of a service writes to its own state, and SELinux alone keeps it from that of another', () => {
    const own = ['image.qcow2', 'left/layers/upper/own', 'right/layers/upper/own'];
    for (const [index, name] of ['image', 'left', 'right'].entries()) {
      const found = (said.get(`Enforcing ${name}`) ?? []).map((line) =>
        line.replace(/'\/.*?\/(?:images|filesystems)\//, "'"),
      );
      const expected = own.map((path, at) => (at === index ? 'OK' : `Could not open '${path}': Permission denied`));
      assert.deepEqual(found, expected, name);
      assert.deepEqual(said.get(`Permissive ${name}`), ['OK', 'OK', 'OK'], name);
    }
  });

  it('nothing is left, and labels are as before', () => {
    assert.deepEqual(said.get('after'), ['virt_image_t:s0', 'boot_t:s0']);
  });
});
