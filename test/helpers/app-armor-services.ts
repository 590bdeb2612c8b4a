/** Two services in containers on the host of `app-armor-script.ts`: the part of its script, and what that prints. */

/**
 * Prints for each service its UUID, the label of a command in it, and whether the command may write what the profile
 * allows and what it denies. Meanwhile /etc is a copy, and /var/lib has libvirt's part alone.
 */
export const SERVICES_SCRIPT = `
echo "== services"
modprobe overlay
mkdir -p /run/etc /run/states /run/lib/libvirt
cp -a /etc/. /run/etc
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
ls /run/states
umount -l /etc /var/lib
`;
