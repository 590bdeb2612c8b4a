#!/bin/sh
# Bakes a snapshot once; sandboxes that start from it do not boot.
set -eu

virt-sandbox-bake create --warm >/dev/null
for number in 1 2 3; do
  virt-sandbox --boot warm -- echo "warm start $number"
done
