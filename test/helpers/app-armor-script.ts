/**
 * What runs in a machine whose kernel has AppArmor: libvirtd, and sandboxes under its profiles. The repository is
 * mounted at /mnt, and root's store has a boot image for the machines. In /media are two equal qcow2 images with ext4, and
 * `capabilities`: what libvirt knows about QEMU.
 */
import process from 'node:process';
import { IMAGE, SERVICES_SCRIPT } from './app-armor-services.js';
import { NESTED_HOST_SCRIPT } from './nested-host.js';

/** Of the sandbox that a profile loaded by hand confines. */
export const UUID = '11111111-2222-3333-4444-555555555555';

const reason = { why: 'this test', worth: 'nothing', risk: 'none' };
/** How the machine boots: the default, with the security modules in this order. */
export const PROFILE = {
  format: 1,
  name: 'apparmor',
  description: 'A kernel with AppArmor',
  kernelArguments: [{ argument: 'lsm=lockdown,capability,yama,apparmor', ...reason }],
  initcallBlacklist: [],
  machine: { firmware: 'qboot', bus: 'root', legacy: 'absent' },
};

const NETWORK =
  "<network><name>lab</name><bridge name='lab0' stp='off' delay='0'/><ip address='10.9.9.1' netmask='255.255.255.0'/></network>";

/** Bytes that a container receives and sends. */
export const [RECEIVED, SENT] = [500_000, 400_000];
/** So little that these bytes come faster on any machine, and have to wait. */
const LIMITS = '0:inbound.average=200,inbound.peak=400,inbound.burst=100,outbound.average=160,outbound.burst=100';

/** Sends at one port, and reports at the next port how much it has received. */
const SERVER = `
const { createServer } = require("node:net");
createServer({ allowHalfOpen: true }, (socket) => socket.on("error", () => {}).end(Buffer.alloc(${RECEIVED}))).listen(7001);
createServer({ allowHalfOpen: true }, (socket) => {
  let count = 0;
  socket.on("error", () => {}).on("data", (data) => { count += data.length; }).on("end", () => socket.end(count + "\\n"));
}).listen(7002, () => console.log("listening"));
`;

/** Receives and sends, and prints how many bytes. */
const TRANSFER = `
received=$(busybox nc 10.9.9.1 7001 </dev/null | busybox wc -c)
sent=$(busybox head -c ${SENT} /dev/zero | busybox nc 10.9.9.1 7002)
echo $received $sent
`;

/**
 * What the init of a container does, which libvirt's own template does not allow, and one thing that must stay
 * forbidden.
 */
const RULES = ['mount,', 'umount,', 'pivot_root,', 'userns,', 'deny /tmp/denied w,'];

/** Prints each part under a heading `== NAME`; the last is `end`. */
export const SCRIPT = `
${NESTED_HOST_SCRIPT}
mount -t securityfs none /sys/kernel/security

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
apparmor_parser --skip-cache --replace /etc/apparmor.d/usr.sbin.libvirtd /etc/apparmor.d/usr.lib.libvirt.virt-aa-helper /run/profile
modprobe --all veth bridge sch_htb sch_sfq sch_ingress cls_u32 act_police

root=/run/root
for directory in bin dev proc sys tmp run etc img; do mkdir -p $root/$directory; done
cp /bin/busybox $root/bin
: >$root/etc/resolv.conf
ln -s busybox $root/bin/sh

libvirtd 2>/run/libvirtd.log &
while [ ! -S /run/libvirt/libvirt-sock ]; do sleep 0.1; done
for try in $(seq 200); do virsh -q -c lxc:/// list >/dev/null 2>&1 && break; sleep 0.1; done
sandbox() { /mnt/bin/virt-sandbox -c lxc:/// -r $root "$@" 2>&1; }

inside='busybox cat /proc/self/attr/current
for file in allowed denied; do
  if echo text >/tmp/$file; then echo $file: written; else echo $file: refused; fi
done 2>/dev/null'
# libvirt moves each thread of qemu-nbd to the control group of the container, and starts nothing where one has ended in between, as happens
# under load. It leaves qemu-nbd then.
for try in $(seq 10); do
  sandbox -s dynamic -m host-image:/img=/media/mount.qcow2 --disk file:tag=/media/disk.qcow2 -- /bin/sh -c "echo == dynamic
$inside"'
    echo "== images"
    busybox cat /img/hello; echo written >/img/inside; busybox grep -o "^[^ ]* /img [^ ]*" /proc/mounts
    busybox readlink /dev/disk/by-tag/tag; busybox dd if=/dev/disk/by-tag/tag bs=1 skip=1080 count=2 2>/dev/null | busybox xxd -p' >/run/nbd
  grep -q "cgroup.procs': No such process" /run/nbd || break
  pkill qemu-nbd
  while pgrep qemu-nbd >/dev/null; do sleep 0.1; done
done
cat /run/nbd
pgrep -a qemu-nbd

printf '%s' "${NETWORK}" >/run/network.xml
virsh -q -c lxc:/// net-create /run/network.xml
mkfifo /run/go
${process.execPath} -e '${SERVER}' >/run/server &
server=$!
for try in $(seq 400); do grep -q listening /run/server && break; sleep 0.1; done
transfer='${TRANSFER}'
# A container of that name transfers, and stays until this has shown what the kernel did to its interface.
transferring() {
  name=$1
  shift
  sandbox -n $name -N address=10.9.9.9,source=lab "$@" -- /bin/sh -c "$inside
echo == $name
$transfer
echo ready; read line" </run/go >/run/said &
  container=$!
  exec 9>/run/go
  for try in $(seq 1200); do grep -q ready /run/said && break; sleep 0.1; done
  cat /run/said
  # virsh would keep a processor busy for a second here. The network has one container at a time.
  interface=$(ls /sys/class/net/lab0/brif)
  echo "interface $interface"
  tc -s qdisc show dev $interface
  tc class show dev $interface
  tc -s filter show dev $interface parent ffff:
  exec 9>&-
  wait $container
}
echo "== inherit"
transferring free -s inherit
echo "== static,label=libvirt-${UUID}"
transferring limited -s static,label=libvirt-${UUID} --net-limit ${LIMITS}
kill $server
virtlogd -d
${SERVICES_SCRIPT}
# With a share. First with Debian's profile of libvirtd, then with a rule for our server of shares. What the shells of these
# machines read does not end: else a machine that boots fast is gone before it is looked at.
mkdir /run/share /run/local
mkfifo /run/held
exec 7<>/run/held
# NAME OPTION…
machine() {
  name=$1
  shift
  /mnt/bin/virt-sandbox -v -c qemu:///system -n $name -r $root --image ${IMAGE} --accel tcg --boot cold --memory 128 \\
    -m host-bind:/img=/run/share "$@" -- /bin/sh <&7 >/run/$name.log 2>&1 &
  machine=$!
  # libvirt starts the servers of shares before QEMU. virsh and pgrep would keep a processor busy meanwhile.
  pid=/run/libvirt/qemu/$name.pid
  while [ ! -s $pid ] && kill -0 $machine; do sleep 0.1; done
}
servers() {
  # Ours forks before it becomes virtiofsd.
  while ! pgrep -f '^/[^ ]*/virtiofsd --fd' >/dev/null && kill -0 $machine 2>/dev/null; do sleep 0.1; done
  for server in $(pgrep -f '^/[^ ]* --fd='); do
    echo $(tr '\\0' ' ' </proc/$server/cmdline | cut -d ' ' -f 1) $(grep CapEff /proc/$server/status)
  done
  grep -o 'virtiofsd has namespaces.*' /run/$name.log
}

echo "== machine"
cp /media/disk.qcow2 /run/own.qcow2
truncate -s 1M /var/tmp/own
chmod 600 /run/own.qcow2 /var/tmp/own
truncate -s 4096 $root/etc/inside /var/tmp/outside
chmod 666 $root/etc/inside /var/tmp/outside
machine confined --disk file:a=/run/own.qcow2 --disk file:b=/var/tmp/own,ro
# Has QEMU open each file, by one virsh.
commands=
for file in /run/libvirt-sandbox/.view/confined/root/etc/inside /var/tmp/outside; do
  drive="file.filename=$file,file.locking=off,format=raw,if=none,id=$(basename $file),readonly=on"
  commands="$commands; qemu-monitor-command confined --hmp 'drive_add 0 $drive'"
done
for try in $(seq 60); do
  virsh -q -c qemu:///system "\${commands#; }" 2>&1 | tr -d '\\r' | grep . >/run/opened
  grep -q '^OK' /run/opened || ! grep -q '^error:' /run/opened && break
  kill -0 $machine || break
  sleep 0.1
done
cat /proc/$(cat $pid)/attr/current /run/opened
grep ^Uid: /proc/$(cat $pid)/status
cat /run/confined.log
echo "== share"
servers
kill $machine
wait $machine

# An ordinary user's own libvirtd has that profile too, and Debian's local file allows nothing of ours.
mkdir -m 700 -p /run/home/run /run/home/.cache/libvirt/qemu
cp -r /media/capabilities /run/home/.cache/libvirt/qemu
cp -r /var/cache/virt-sandbox /run/home/.cache
chown -R 65534:65534 /run/home
session() {
  setpriv --reuid=65534 --regid=65534 --clear-groups -- env -u USER -u LOGNAME -u XDG_CACHE_HOME \\
    HOME=/run/home XDG_RUNTIME_DIR=/run/home/run /mnt/bin/virt-sandbox -v -c qemu:///session -n own \\
    --image ${IMAGE} --accel tcg --boot cold --memory 128 -- /bin/sh <&7 >/run/own 2>&1 &
  machine=$!
  pid=/run/home/run/libvirt/qemu/run/own.pid
  while [ ! -s $pid ] && kill -0 $machine 2>/dev/null; do sleep 0.1; done
  for pid in $(cat $pid); do
    # What confines it has become QEMU by then, or is about to.
    while ! tr '\\0' ' ' </proc/$pid/cmdline | grep -q '^/usr/bin/' && kill -0 $pid; do sleep 0.1; done
    basename $(readlink /proc/$pid/exe)
  done
  cat /run/home/run/libvirt/libvirtd.pid | sed 's|.*|/proc/&/attr/current|' | xargs cat
  find /run/home -name wall.landlock | wc -l
  grep 'security: QEMU can' /run/own
  kill $machine
  wait $machine
}
# Has libvirtd's profile include these rules, and no others.
allow() {
  echo "$1 PUx," >/run/local/usr.sbin.libvirtd
  apparmor_parser --skip-cache --replace /etc/apparmor.d/usr.sbin.libvirtd
}
echo "== session"
session
mount --bind /run/local /etc/apparmor.d/local
allow /mnt/dist/native/share-server
echo "== share with a rule"
machine sharing
servers
kill $machine
wait $machine
allow /mnt/dist/native/qemu-wall
echo "== session with a rule"
session
echo "== end"
`;
