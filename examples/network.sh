#!/bin/sh
# Gives a sandbox a network: it reaches the host and what the host reaches, and nothing reaches the sandbox.
set -eu

virt-sandbox -N dhcp -- sh -c 'ip -br -4 addr show dev eth0; cat /etc/resolv.conf'
