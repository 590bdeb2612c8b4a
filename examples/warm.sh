#!/bin/sh
# Bakes a snapshot with slots for mounts, a disk and a network; sandboxes that start from it do not boot.
set -eu

virt-sandbox-bake create --warm --slots mounts=4,disks=1,networks=1 >/dev/null
virt-sandbox --boot warm -- echo 'a warm start'
virt-sandbox --boot warm -N dhcp -- sh -c 'echo "another, with $(ls /sys/class/net | tr "\n" " ")"'
