/** The options of virt-sandbox: for the parser, the help and the manual page. */
import type { Options } from 'yargs';
import { imageRootOptions } from './image-root-options.js';
import { screenOptions } from './screen-options.js';

export const options = {
  connect: {
    alias: 'c',
    type: 'string',
    requiresArg: true,
    describe: 'libvirt URI: qemu:///system, qemu:///session, qemu:///embed (no daemon) or lxc:/// (a container)',
  },
  name: {
    alias: 'n',
    type: 'string',
    requiresArg: true,
    describe: 'name of the domain, and host name inside [sandbox-XXXXXXXX]',
  },
  root: {
    alias: 'r',
    type: 'string',
    requiresArg: true,
    describe:
      'the root: a host directory, read-only, or an image: docker://NAME, oci:DIR, oci-archive:FILE, docker-archive:FILE, tar:FILE, virt-builder:///NAME [/]',
  },
  ...imageRootOptions,
  'root-fs': {
    type: 'string',
    requiresArg: true,
    describe: 'what serves the root: 9p, virtiofs, or auto: virtiofs where it can be had [auto]',
  },
  'root-cache': {
    type: 'string',
    requiresArg: true,
    describe: 'what is kept of the root: auto: what cannot be stale, never: nothing, always: all [auto]',
  },
  overlay: {
    type: 'string',
    // The value follows a `=` only: the next word begins the command.
    requiresArg: false,
    describe: '[=memory|DIR|FILE.qcow2]: a root to write to, in memory and gone at the end, or kept there',
  },
  mount: {
    alias: 'm',
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'TYPE:TARGET=SOURCE, in order; TYPE is host-bind, host-image, guest-bind or ram; repeats',
  },
  include: {
    alias: 'i',
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'GUEST[=HOST]: copy HOST to GUEST, a path inside a mount; repeats',
  },
  includefile: { alias: 'I', type: 'string', requiresArg: true, describe: 'file with one --include value a line' },
  disk: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'TYPE:TAG=SOURCE[,ro], a disk as /dev/disk/by-tag/TAG; TYPE is file or block; repeats',
  },
  env: {
    alias: 'e',
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'KEY=VALUE sets a variable inside; KEY passes on the value of the caller; repeats',
  },
  network: {
    alias: 'N',
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe:
      'a network interface: dhcp, or address=IP[/PREFIX], with source=NETWORK, host-loopback, mac=, route=, filter=; repeats',
  },
  publish: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe:
      '[[ADDRESS:][HOST]:]GUEST[/udp]: TCP or UDP port GUEST inside as port HOST of ADDRESS [127.0.0.1, a free port]; repeats',
  },
  security: {
    alias: 's',
    type: 'string',
    requiresArg: true,
    describe: 'label for SELinux or AppArmor on the host: dynamic, static or inherit[,label=LABEL] [dynamic]',
  },
  ...screenOptions,
  sound: { type: 'boolean', describe: 'a sound card: your sound server plays what is played inside' },
  privileged: { alias: 'p', type: 'boolean', describe: 'run as root inside, with every capability' },
  userns: {
    type: 'boolean',
    describe: 'let COMMAND create user namespaces, as browsers do for their own sandbox',
  },
  hide: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'hide PATH inside, as ~/.ssh and other places of keys are anyway; none shows those; repeats',
  },
  home: {
    type: 'string',
    requiresArg: true,
    describe: 'home directory inside: tmp (empty, in memory), host (as it is), or DIR of the host, which is kept',
  },
  switchto: {
    alias: 'S',
    type: 'string',
    requiresArg: true,
    describe: 'run as this user of the host, a name or a uid [the caller]',
  },
  cwd: { type: 'string', requiresArg: true, describe: 'working directory inside [home, else /]' },
  image: {
    type: 'string',
    requiresArg: true,
    describe: 'boot image: a name, or a directory with a slash in its path [one that fits, else a new one]',
  },
  pool: {
    type: 'string',
    requiresArg: true,
    describe: 'take a sandbox that waits in this pool: virt-sandbox-ctl pool create',
  },
  detach: {
    type: 'boolean',
    describe: 'start it in the background and print its name; without COMMAND it lives until it is stopped',
  },
  timeout: {
    type: 'string',
    requiresArg: true,
    describe: 'kill COMMAND after this time, as 30s, 2m or 500ms, and exit with 124; a number alone is seconds [none]',
  },
  shell: {
    alias: 'l',
    type: 'boolean',
    describe: 'serve root shells too, for --attach or virsh console from another terminal',
  },
  attach: {
    type: 'string',
    requiresArg: true,
    describe: 'open a root shell in this running sandbox, or run COMMAND there as root; start nothing',
  },
  kernver: {
    type: 'string',
    requiresArg: true,
    describe: 'kernel version [the running kernel if it can boot a sandbox, else the newest that can]',
  },
  kernpath: { type: 'string', requiresArg: true, describe: 'kernel image [/boot/vmlinuz-VERSION]' },
  kmodpath: { type: 'string', requiresArg: true, describe: 'directory of module trees [/lib/modules]' },
  memory: {
    type: 'string',
    requiresArg: true,
    describe: 'memory of the machine: MiB, or a number with K, M or G [512]',
  },
  vcpus: { type: 'string', requiresArg: true, describe: 'processors of the machine [1]' },
  'cpu-shares': {
    type: 'string',
    requiresArg: true,
    describe: 'processor time relative to other domains, 2 to 262144; a domain without it has 1024',
  },
  'cpu-quota': {
    type: 'string',
    requiresArg: true,
    describe: 'microseconds that each processor of the machine, or a container, may run in each period',
  },
  'cpu-period': { type: 'string', requiresArg: true, describe: 'microseconds, the period of --cpu-quota [100000]' },
  'cpu-scheduler': {
    type: 'string',
    requiresArg: true,
    describe: "the host's scheduler of the machine's processors: fifo:PRIORITY, rr:PRIORITY, batch or idle",
  },
  'cpu-pin': { type: 'string', requiresArg: true, describe: 'processors of the host to run on, such as 0-1,3 [all]' },
  numa: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'NODE:cpus=LIST[,memory=SIZE][,host=LIST]: a NUMA node of the machine, counted from 0; repeats',
  },
  'numa-nodes': {
    type: 'string',
    requiresArg: true,
    describe:
      "LIST[,mode=MODE]: the host's NUMA nodes to take memory from; MODE is strict, interleave, preferred or restrictive",
  },
  'memory-limit': {
    type: 'string',
    requiresArg: true,
    describe: "the most memory of the host that it may have, QEMU's own included: MiB, or a number with K, M or G",
  },
  'memory-soft-limit': {
    type: 'string',
    requiresArg: true,
    describe: 'memory that is left to it when the host lacks some, as --memory-limit',
  },
  'memory-swap-limit': {
    type: 'string',
    requiresArg: true,
    describe: 'the most memory and swap together, as --memory-limit',
  },
  'huge-pages': {
    type: 'string',
    requiresArg: true,
    describe: "huge pages of the host for the machine's memory: default, or a size such as 2M or 1G",
  },
  'block-weight': {
    type: 'string',
    requiresArg: true,
    describe: 'disk time relative to other domains, 100 to 1000',
  },
  'io-threads': {
    type: 'string',
    requiresArg: true,
    describe: 'threads of QEMU to serve the disks in turn [none: its main thread does]',
  },
  'disk-limit': {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'TAG:NAME=N,...: limit a disk, with names such as total_bytes_sec and read_iops_sec; repeats',
  },
  'net-limit': {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'N:inbound.average=KIB,outbound.average=KIB,...: limit interface N, counted from 0; repeats',
  },
  accel: {
    type: 'string',
    requiresArg: true,
    describe: 'auto, kvm or tcg; auto takes kvm only where a guest has been seen to run [auto]',
  },
  'require-kvm': {
    type: 'boolean',
    describe: 'refuse to start anything but a machine under KVM, the only kind that QEMU calls a security boundary',
  },
  'nested-kvm': { type: 'boolean', describe: 'let the machine run machines under KVM itself' },
  profile: {
    type: 'string',
    requiresArg: true,
    describe: 'how the machine boots: compatible, default, fast, a profile of your own, or a path [default]',
  },
  boot: {
    type: 'string',
    requiresArg: true,
    describe: 'cold (boot), warm (restore a snapshot), or auto: warm where a snapshot fits [auto]',
  },
  'boot-timeout': {
    type: 'string',
    requiresArg: true,
    describe: 'seconds until the command must have started [60]',
  },
  config: { type: 'string', requiresArg: true, describe: 'start from this sandbox.cfg; other options change it' },
  'save-config': {
    type: 'string',
    requiresArg: true,
    describe: 'write the sandbox to this sandbox.cfg, or to stdout for -, and exit',
  },
  'print-xml': { type: 'boolean', describe: 'print the domain XML and exit' },
  'dry-run': { type: 'boolean', describe: 'find or build the boot image, say which, and exit' },
  json: { type: 'boolean', describe: 'with --dry-run: print JSON' },
  verbose: { alias: 'v', type: 'boolean', describe: 'say on stderr what is chosen and why' },
  debug: { alias: 'd', type: 'boolean', describe: 'also say each step and its time' },
} as const satisfies Record<string, Options>;

export const usage = `Usage: virt-sandbox [OPTIONS] [--] COMMAND [ARGS]
       virt-sandbox --detach [OPTIONS] [--] [COMMAND [ARGS]]
       virt-sandbox --pool NAME [OPTIONS] [--] COMMAND [ARGS]

Runs COMMAND, a program of this host, in a virtual machine of its own, with a kernel of the host and a
read-only view of the host's files.`;

export const epilogue = `Exit status: that of COMMAND; 128+N when signal N ended it; 127 when it is not found; 126 when it cannot be
executed; 125 when the sandbox itself failed; 124 when the time of --timeout was over. At a terminal, Ctrl+] ends the sandbox.

Environment: LIBVIRT_DEFAULT_URI (as --connect), VIRT_SANDBOX_PROFILE (as --profile), XDG_CACHE_HOME (caches),
XDG_CONFIG_HOME (profiles), LIBVIRT_SANDBOX_INIT_DEBUG (kernel messages and every step of the init on stderr;
break:STEP stops before a step), LIBVIRT_SANDBOX_STRACE (1, or an expression: run COMMAND under strace),
VIRT_SANDBOX_TRACE (file for the times of a run).`;
