#!/bin/sh
# Makes a file system on a disk image inside a sandbox, and reads from it in later ones.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The user that QEMU runs as has to reach the image.
chmod 755 "$work"
truncate -s 16M "$work/data.img"

virt-sandbox --disk file:data="$work/data.img" -- /usr/sbin/mkfs.ext4 -q -E root_owner /dev/disk/by-tag/data
virt-sandbox -m host-image:/mnt="$work/data.img" -- sh -c 'echo kept >/mnt/file'
virt-sandbox -m host-image:/mnt="$work/data.img,ro" -- cat /mnt/file
