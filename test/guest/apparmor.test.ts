/**
 * Confinement for real: a sandbox whose kernel has AppArmor, in it a libvirtd, and in that containers of this program under profiles. It
 * is also where a network can be limited whatever the host's kernel has.
 */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { unlessBusybox } from '../helpers/roots.js';
import { REPOSITORY, runSandbox } from '../helpers/run.js';
import { DEBIAN_KERNEL, unlessInstalled } from '../helpers/scratch.js';

const UUID = '11111111-2222-3333-4444-555555555555';

const reason = { why: 'this test', worth: 'nothing', risk: 'none' };
/** How the machine boots: as by default, and with the security modules in this order. */
const PROFILE = {
  format: 1,
  name: 'apparmor',
  description: 'A kernel with AppArmor',
  kernelArguments: [{ argument: 'lsm=lockdown,capability,yama,apparmor', ...reason }],
  initcallBlacklist: [],
  machine: { firmware: 'qboot', bus: 'root', legacy: 'absent' },
};

const NETWORK = "<network><name>lab</name><bridge name='lab0' stp='off' delay='0'/></network>";

/** What the init of a container does, which libvirt's own template does not allow, and one thing that is not to be done. */
const RULES = ['mount,', 'umount,', 'pivot_root,', 'deny /tmp/denied w,'];

const SCRIPT = `
mkdir -p /var/log/libvirt /etc/libvirt/lxc /etc/libvirt/qemu /run/lock
mount -t securityfs none /sys/kernel/security
mount -t cgroup2 none /sys/fs/cgroup

# libvirt writes the profiles that it makes beside its templates.
mkdir /run/templates
cp -r /etc/apparmor.d/libvirt/. /run/templates
mount --bind /run/templates /etc/apparmor.d/libvirt
sed -i 's|^}|  ${RULES.join('\\n  ')}\\n}|' /run/templates/TEMPLATE.lxc
cat > /run/profile <<END
profile libvirt-${UUID} flags=(attach_disconnected,mediate_deleted) {
  file, capability, network, signal, ptrace, unix,
  ${RULES.join('\n  ')}
}
END
apparmor_parser --skip-cache --replace /etc/apparmor.d/usr.sbin.libvirtd /run/profile
modprobe --all veth bridge sch_htb sch_sfq sch_ingress cls_u32 act_police

root=/run/root
for directory in bin dev proc sys tmp run etc; do mkdir -p $root/$directory; done
cp /bin/busybox $root/bin
: >$root/etc/resolv.conf
ln -s busybox $root/bin/sh

libvirtd 2>/run/libvirtd.log &
for try in $(seq 200); do virsh -q -c lxc:/// list >/dev/null 2>&1 && break; sleep 0.1; done

inside='busybox cat /proc/self/attr/current
for file in allowed denied; do
  if echo text >/tmp/$file; then echo $file: written; else echo $file: refused; fi
done 2>/dev/null'
for security in inherit dynamic static,label=libvirt-${UUID}; do
  echo "== $security"
  /mnt/bin/virt-sandbox -c lxc:/// -p -r $root -s $security -- /bin/sh -c "$inside" 2>&1
done

echo "== limit"
printf '%s' "${NETWORK}" >/run/network.xml
virsh -q -c lxc:/// net-create /run/network.xml
mkfifo /run/go
/mnt/bin/virt-sandbox -c lxc:/// -n limited -p -r $root -N address=10.9.9.9,source=lab \\
  --net-limit 0:inbound.average=1000,inbound.peak=2000,outbound.average=800 -- /bin/sh -c 'echo ready; read line' </run/go >/run/said 2>&1 &
exec 9>/run/go
for try in $(seq 400); do grep -q ready /run/said && break; sleep 0.1; done
cat /run/said
interface=$(virsh -c lxc:/// dumpxml limited | sed -n "s/.*<target dev='\\([^']*\\)'.*/\\1/p" | head -n 1)
tc class show dev $interface
tc filter show dev $interface parent ffff:
exec 9>&-
wait %2
echo "== end"
`;

function unlessAppArmor(): string | false {
  return existsSync('/sbin/apparmor_parser') ? false : 'there is no apparmor_parser';
}

function unlessContainers(): string | false {
  return existsSync('/usr/lib/libvirt/libvirt_lxc') ? false : 'libvirt has no driver for containers here';
}

const skip = embedded.skip || unlessBusybox || unlessInstalled(DEBIAN_KERNEL) || unlessAppArmor() || unlessContainers();

describe('on a kernel with AppArmor', { skip }, () => {
  /** What each part of the script has said, by its heading. */
  let said: ReadonlyMap<string, readonly string[]>;

  const directory = mkdtempSync(join(tmpdir(), 'virt-sandbox-test-'));
  after(() => rmSync(directory, { recursive: true, force: true }));

  before(async () => {
    const profile = join(directory, 'profile.json');
    writeFileSync(profile, JSON.stringify(PROFILE));
    const memory = ['/var/lib/libvirt', '/var/cache', '/var/log', '/var/tmp', '/etc/libvirt'];
    const result = await runSandbox(
      [
        ...[
          '-c',
          embedded.uri,
          '--kernver',
          DEBIAN_KERNEL,
          '--profile',
          profile,
          '-p',
          '--memory',
          '1536',
          '--vcpus',
          '2',
        ],
        ...memory.flatMap((target) => ['-m', `ram:${target}=100M`]),
        ...['-m', `host-bind:/mnt=${REPOSITORY},ro`, '--', 'sh', '-c', SCRIPT],
      ],
      { timeout: 600_000 },
    );
    const parts = result.out.split(/^== /m).map((part) => part.trim().split('\n'));
    said = new Map(parts.map(([heading = '', ...lines]) => [heading, lines]));
    assert.ok(said.has('end'), `${result.out}\n${result.stderr}`);
  });

  it('without confinement everything can be written', () => {
    assert.deepEqual(said.get('inherit'), ['unconfined', 'allowed: written', 'denied: written']);
  });

  it('a profile that libvirt makes from its template confines the sandbox', () => {
    const [label = '', ...rest] = said.get('dynamic') ?? [];
    assert.match(label, /^libvirt-[0-9a-f-]{36} \(enforce\)$/);
    assert.deepEqual(rest, ['allowed: written', 'denied: refused']);
  });

  it('a profile that somebody has loaded confines the sandbox of its UUID', () => {
    assert.deepEqual(said.get(`static,label=libvirt-${UUID}`), [
      `libvirt-${UUID} (enforce)`,
      'allowed: written',
      'denied: refused',
    ]);
  });

  it('--net-limit is what the kernel schedules the interface by', () => {
    const text = (said.get('limit') ?? []).join('\n');
    // libvirt says KiB and tc takes them for a thousand bytes.
    assert.match(text, /^ready$/m);
    assert.match(text, /rate 8Mbit ceil 16Mbit/);
    assert.match(text, /police .* rate 6400Kbit/);
  });
});
