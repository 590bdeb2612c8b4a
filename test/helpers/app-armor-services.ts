/**
 * Two services in containers and one in a machine, on the host of `app-armor-script.ts`: the part of its script, and
 * what that prints.
 */

/** The name of the boot image of machines. */
export const IMAGE = 'inside';

/**
 * Prints for each service in a container its UUID, the label of a command in it, and whether the command may write what
 * the profile allows and what it denies. For the one in a machine, which need not boot for that: its UUID, the label of
 * its QEMU, and how that has its state open. Meanwhile /etc is a copy, and /var/lib has libvirt's part alone.
 */
export const SERVICES_SCRIPT = `
echo "== services"
modprobe overlay
mkdir -p /run/etc /run/states /run/lib/libvirt
# Other tests make and remove services there meanwhile.
find /etc -mindepth 1 -maxdepth 1 ! -name libvirt-sandbox -exec cp -a -t /run/etc {} +
mount --bind /run/etc /etc
mount --bind /var/lib/libvirt /run/lib/libvirt
mount --rbind /run/lib /var/lib
service() { /mnt/bin/virt-sandbox-service "$@" 2>&1; }
for name in one two; do
  service -c lxc:/// create -r $root -p /run/states $name -- /bin/sh -c 'exec busybox sleep 1000'
done
service start one two
for name in one two; do
  service show $name | grep ^uuid=
  service execute $name -- /bin/sh -c "$inside"
done
service delete one two
echo "== service in a machine"
service -c qemu:///system create -r $root -p /run/states -i 150 --accel tcg --boot cold --memory 128 three -- /bin/sh
sed -i 's/^\\[machine]$/&\\nimage=${IMAGE}/; s/^\\[service]$/&\\nstarttimeout=900000/' /etc/libvirt-sandbox/services/three/config/sandbox.cfg
service show three | grep ^uuid=
/mnt/bin/virt-sandbox-service start three >/run/three.log 2>&1 &
starting=$!
written=
# QEMU opens it for reading first. The last digit is the way in which a file is open: 2 is for reading and writing.
while [ -z "$written" ] && kill -0 $starting 2>/dev/null; do
  sleep 0.1
  qemu=$(cat /run/libvirt/qemu/three.pid 2>/dev/null) || continue
  for state in $(find /proc/$qemu/fd -lname /run/states/three.qcow2 2>/dev/null); do
    written=$(grep '^flags:.*2$' /proc/$qemu/fdinfo/$(basename $state) 2>/dev/null) && break
  done
done
cat /proc/$qemu/attr/current
[ -n "$written" ] && echo "$written" || cat /run/three.log
kill $starting
wait $starting
service delete three
ls /run/states
umount -l /etc /var/lib
`;
