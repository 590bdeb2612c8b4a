/** The options of virt-sandbox, once: for the parser, the help, and the manual page. */
import type { Options } from 'yargs';

export const options = {
  connect: {
    alias: 'c',
    type: 'string',
    requiresArg: true,
    describe: 'libvirt URI: qemu:///system, qemu:///session, qemu:///embed (no daemon) or lxc:/// (a container)',
  },
  name: { alias: 'n', type: 'string', requiresArg: true, describe: 'name of the domain [a unique one]' },
  root: {
    alias: 'r',
    type: 'string',
    requiresArg: true,
    describe: 'host directory that is the root inside, read-only [/]',
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
    describe: 'GUEST[=HOST]: copy HOST into the mount that GUEST is in; repeats',
  },
  includefile: { alias: 'I', type: 'string', requiresArg: true, describe: 'file with one include a line' },
  disk: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'TYPE:TAG=SOURCE[,ro], TYPE file or block: /dev/disk/by-tag/TAG inside; repeats',
  },
  env: {
    alias: 'e',
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'KEY=VALUE for the environment inside, or KEY to hand it on; repeats',
  },
  network: {
    alias: 'N',
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'a network interface: dhcp, or address=IP[/PREFIX], with source=NETWORK, mac=, route=, filter=; repeats',
  },
  security: {
    alias: 's',
    type: 'string',
    requiresArg: true,
    describe: 'dynamic, static or inherit[,label=LABEL]: SELinux or AppArmor on the host [dynamic]',
  },
  privileged: { alias: 'p', type: 'boolean', describe: 'stay root inside, with every capability' },
  switchto: {
    alias: 'S',
    type: 'string',
    requiresArg: true,
    describe: 'run as that user of the host: a name, or a uid',
  },
  cwd: { type: 'string', requiresArg: true, describe: 'working directory inside [home, else /]' },
  image: {
    type: 'string',
    requiresArg: true,
    describe: 'boot image to use: its name, or its directory with a slash [found, else built]',
  },
  shell: {
    alias: 'l',
    type: 'boolean',
    describe: 'also have a root shell in it, for --attach or virsh console from another terminal',
  },
  attach: {
    type: 'string',
    requiresArg: true,
    describe: 'start nothing: open a root shell in that running sandbox, or run COMMAND there',
  },
  kernver: {
    type: 'string',
    requiresArg: true,
    describe: 'kernel version [the running one, else the newest that can]',
  },
  kernpath: { type: 'string', requiresArg: true, describe: 'kernel image [/boot/vmlinuz-VERSION]' },
  kmodpath: { type: 'string', requiresArg: true, describe: 'directory of module trees [/lib/modules]' },
  memory: { type: 'string', requiresArg: true, describe: 'memory of the machine in MiB, or with K, M, G [512]' },
  vcpus: { type: 'string', requiresArg: true, describe: 'processors of the machine [1]' },
  'cpu-shares': {
    type: 'string',
    requiresArg: true,
    describe: 'processor time relative to other domains, 2 to 262144 (usual: 1024)',
  },
  'cpu-pin': { type: 'string', requiresArg: true, describe: "the host's processors to run on: 0-1,3 [all]" },
  'disk-limit': {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'TAG:NAME=N,...: bytes or operations a second, as total_bytes_sec, read_iops_sec; repeats',
  },
  'net-limit': {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'N:inbound.average=KIB,outbound.average=KIB,...: KiB a second of interface N, from 0; repeats',
  },
  accel: {
    type: 'string',
    requiresArg: true,
    describe: 'auto, kvm or tcg; auto is kvm only where a guest really runs [auto]',
  },
  profile: {
    type: 'string',
    requiresArg: true,
    describe: 'how the machine boots: compatible, default, fast, one of your own, or a path [default]',
  },
  boot: {
    type: 'string',
    requiresArg: true,
    describe: 'cold, warm (from a baked machine), or auto: warm where one fits [auto]',
  },
  'boot-timeout': {
    type: 'string',
    requiresArg: true,
    describe: 'seconds that the guest may take to start the command [60]',
  },
  config: { type: 'string', requiresArg: true, describe: 'start from that sandbox.cfg; other options change it' },
  'save-config': {
    type: 'string',
    requiresArg: true,
    describe: 'write the sandbox to that sandbox.cfg, or - for stdout, and exit',
  },
  'print-xml': { type: 'boolean', describe: 'print the domain XML and exit' },
  'dry-run': { type: 'boolean', describe: 'find or build the image, say which, and exit' },
  json: { type: 'boolean', describe: 'with --dry-run: print JSON' },
  verbose: { alias: 'v', type: 'boolean', describe: 'say on stderr what is chosen, and why' },
  debug: { alias: 'd', type: 'boolean', describe: 'also say what is done, step by step, with times' },
} as const satisfies Record<string, Options>;

export const usage = `Usage: virt-sandbox [OPTIONS] [--] COMMAND [ARGS]

Runs COMMAND of this host in a virtual machine of its own: the host's kernel, the host's files read-only, nothing else.`;

export const epilogue = `Exit status: that of COMMAND; 128+N when signal N ended it; 126 when it cannot be executed, 127 when it is
not found; 125 when the sandbox itself failed. At a terminal, Ctrl+] leaves.

Environment: LIBVIRT_DEFAULT_URI (as --connect), LIBVIRT_SANDBOX_INIT_DEBUG (kernel messages and every
step of the init on stderr; break:STEP stops before a step), LIBVIRT_SANDBOX_STRACE (1, or an expression:
the application under strace), XDG_CACHE_HOME (images), VIRT_SANDBOX_PROFILE (as --profile).`;
