#!/bin/sh
# Runs programs of this host in sandboxes: pipes, output and exit status work as with any program.
set -eu

virt-sandbox -- uname -sm
echo 'hello from the host' | virt-sandbox -- tr a-z A-Z
virt-sandbox -- sh -c 'exit 7' || echo "exit status: $?"
