#!/bin/sh
# Runs a script that nobody has read: without a network, without capabilities, with one directory to write to.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/job" <<'END'
echo "interfaces: $(ls /sys/class/net)"
touch /etc/changed 2>/dev/null || echo 'the files of the host: read-only'
echo 'a result' >/mnt/result
END
virt-sandbox -m host-bind:/mnt="$work" --cwd /mnt -- sh job
cat "$work/result"
