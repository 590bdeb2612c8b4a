#!/bin/sh
# Keeps the options of a sandbox in a file, and starts from the file with another command.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

virt-sandbox -S nobody -e GREETING=hi -m ram:/mnt=8M --save-config "$work/job.cfg" -- /bin/true
# shellcheck disable=SC2016 # The variable is one of the sandbox.
virt-sandbox --config "$work/job.cfg" --cwd / -- sh -c 'echo "$GREETING from $(id -un)"; df /mnt | grep -o tmpfs'
