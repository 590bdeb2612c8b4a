/** The options of virt-sandbox(1): the name of each value, its completion, and the text of the page. */
import type { options } from '../../src/cli/sandbox-options.js';
import type { Detail } from '../program-description.js';
import { home } from './virt-sandbox.1-home.js';
import { rootDetails } from './virt-sandbox.1-root-options.js';

/** The compiler rejects an option without an entry. */
export const details = {
  connect: {
    value: 'URI',
    complete: { words: ['qemu:///system', 'qemu:///session', 'qemu:///embed', 'lxc:///'] },
    text: [
      'Selects the libvirt driver.',
      {
        terms: [
          [
            '`qemu:///system`',
            'A machine, started by the system daemon. For root QEMU runs as a user of its own, one for each sandbox.',
          ],
          [
            '`qemu:///session`',
            'A machine, started by a daemon of the calling user. libvirt starts this daemon on demand.',
          ],
          ['`qemu:///embed`', 'A machine, started by libvirt’s embedded driver. It needs no daemon.'],
          ['`lxc:///`', 'A container, started by the system daemon. It shares the kernel of the host.'],
        ],
      },
      'The default is LIBVIRT_DEFAULT_URI, then `uri_default` in libvirt’s own libvirt.conf (*/etc/libvirt/libvirt.conf* for root, *~/.config/libvirt/libvirt.conf* for other users).',
      'Without either, virt-sandbox runs a machine. Root uses the system daemon if it answers, another user the user’s own daemon. If no daemon answers, virt-sandbox uses the embedded driver.',
    ],
  },
  name: {
    value: 'NAME',
    text: [
      'Names the libvirt domain. The name is also the host name inside, and the name of the state directory. Two running sandboxes cannot have the same name. The default is a unique name, *sandbox-XXXXXXXX*.',
    ],
  },
  ...rootDetails,
  mount: {
    value: 'TYPE:TARGET=SOURCE',
    complete: { types: ['host-bind', 'host-image', 'guest-bind', 'ram'] },
    text: [
      'Mounts something at *TARGET* inside. Mounts are made in the order of the command line. A mount with the target `/` replaces the root.',
      {
        terms: [
          [
            '`host-bind:`*TARGET*`=`[*DIR*][`,ro`]',
            'A directory of the host. Without *DIR*, virt-sandbox makes an empty directory and removes it with the sandbox.',
          ],
          [
            '`host-image:`*TARGET*`=`*FILE*[`,format=`*FORMAT*][`,ro`]',
            'The file system in a disk image or block device. *FORMAT* is `raw`, `qcow2` or another format that QEMU knows. Without `,format=` the extension of the name decides; an unknown extension means `raw`.',
          ],
          ['`guest-bind:`*TARGET*`=`*DIR*', 'Shows a directory that is already inside at a second path.'],
          [
            '`ram:`*TARGET*`=`*SIZE*',
            'An empty file system in memory that holds at most *SIZE*: bytes, or a number with K, KiB, M, MiB, G or GiB.',
          ],
        ],
      },
      '`,ro` makes it read-only. If a path itself ends with `,ro`, add `,rw`.',
    ],
  },
  include: {
    value: 'GUEST[=HOST]',
    complete: 'paths',
    text: [
      'Copies *HOST*, a file or a directory, to the path *GUEST* inside before the command starts. *GUEST* must be inside a mount. If several mounts are above it, the mount with the longest target takes the copy. *HOST* defaults to the path *GUEST*.',
    ],
  },
  includefile: {
    value: 'FILE',
    complete: 'file',
    text: ['Reads one `--include` value from each line of this file. They follow those of the command line.'],
  },
  disk: {
    value: 'TYPE:TAG=SOURCE',
    complete: { types: ['file', 'block'] },
    text: [
      'Adds a disk. Inside it is `/dev/disk/by-tag/`*TAG*.',
      {
        terms: [
          [
            '`file:`*TAG*`=`*FILE*[`,format=`*FORMAT*][`,ro`]',
            'A disk image. Without `,format=` the extension of the name decides; an unknown extension means `raw`.',
          ],
          ['`block:`*TAG*`=`*DEVICE*[`,ro`]', 'A block device of the host.'],
        ],
      },
      '`,ro` makes it read-only. If a path itself ends with `,ro`, add `,rw`.',
      'In a machine, a flush inside is one on the disk of the host, and so is the end of the sandbox. What is discarded inside (`fstrim`) is freed on the host. If the host has no space left, writes fail inside with an I/O error, and a warning names the disk. The exit status does not tell: a program that does not sync may end with 0, though the host refused what it wrote.',
    ],
  },
  network: {
    value: 'KEY[=VALUE],...',
    complete: { list: ['dhcp', 'none', 'host-loopback', 'source=', 'mac=', 'address=', 'route=', 'filter='] },
    text: [
      'Adds a network interface. Without this option the sandbox has only `lo`.',
      {
        terms: [
          [
            '`dhcp`',
            'Asks for an address by DHCP. The root needs no DHCP client. `dhcp` excludes `address` and `route`.',
          ],
          ['`none`', 'Alone: no interface, not even those of a configuration file.'],
          [
            '`host-loopback`',
            'With user networking: lets the sandbox reach the services of the host, those on its loopback at 10.0.2.2 and fec0::2. Without it, it reaches none. One interface with it opens all.',
          ],
          [
            '`source=`*NETWORK*',
            'Connects to this network of libvirt. The default is user networking, which passt serves; in a container it is libvirt’s network `default`.',
          ],
          [
            '`mac=`*MAC*',
            'Sets the hardware address. The default is made from the names of the sandbox and of this host.',
          ],
          [
            '`address=`*IP*[`/`*PREFIX*][`%`*BROADCAST*]',
            'Adds an IPv4 or IPv6 address; repeats. *PREFIX* defaults to 24, for IPv6 to 64.',
          ],
          ['`route=`*NETWORK*[`/`*PREFIX*]`%`*GATEWAY*', 'Adds a route; repeats. It needs an address.'],
          ['`filter=`*NAME*', 'Applies this network filter of libvirt. On a machine it needs `source`.'],
          ['`filter.`*KEY*`=`*VALUE*', 'Sets a parameter of the filter. *KEY* is in upper case.'],
        ],
      },
      'An interface with neither `dhcp` nor `address` is brought up without an address.',
    ],
  },
  publish: {
    value: '[[ADDRESS:][HOST]:]GUEST[/udp]',
    text: [
      'Makes the TCP port *GUEST* of the sandbox, with `/udp` the UDP port, the port *HOST* of *ADDRESS*, an IP address of this host; an IPv6 address is in brackets. The default is 127.0.0.1, which every user of this host reaches. With 0 or without *HOST* a free port is taken, and said on stderr. The sandbox needs no network for it: connections and datagrams are carried to its loopback. A port that is taken is an error before anything is started. The option repeats.',
    ],
  },
  security: {
    value: 'MODE[,label=LABEL]',
    complete: { words: ['dynamic', 'dynamic,label=', 'static', 'static,label=', 'inherit', 'inherit,label='] },
    text: [
      'Selects the SELinux or AppArmor label with which the host confines the sandbox. The default is `dynamic`.',
      {
        terms: [
          [
            '`dynamic`[`,label=`*LABEL*]',
            'libvirt makes a label for this sandbox alone. *LABEL* replaces the usual base; AppArmor takes none.',
          ],
          ['`static`[`,label=`*LABEL*]', 'Exactly this label. Without *LABEL*, the label of the caller.'],
          ['`inherit`', 'The label of the caller.'],
        ],
      },
    ],
  },
  env: {
    value: 'KEY[=VALUE]',
    text: [
      'Sets a variable inside. *VALUE* may be empty. Without `=` the variable gets its value from the caller’s environment; it must be set there. If a name comes twice, the later value counts. `--save-config` saves the value.',
    ],
  },
  privileged: {
    text: [
      'Runs the command as root with every capability. The host’s root stays read-only. In a container (`lxc:///`) it is root of the host’s kernel, and no barrier. Without this option the command has no capability and cannot get one, not even as root. It excludes `--switchto`.',
    ],
  },
  userns: {
    text: [
      'Lets the command create user namespaces. Browsers and container tools need them for a sandbox of their own. A program has every capability in a user namespace that it creates, so it reaches more of the guest’s kernel. Without this option the command can create none; `--privileged` allows them.',
    ],
  },
  hide: {
    value: 'PATH|none',
    complete: 'file',
    text: [
      'Hides the file or directory *PATH* inside: in its place is an empty one. A link is followed. The option repeats. Hidden without it are the places below the home directory where programs keep keys, such as `~/.ssh` and `~/.aws`; `none` shows those. A mount on such a path is seen.',
    ],
  },
  home,
  switchto: {
    value: 'USER',
    complete: 'user',
    text: [
      'Runs the command as this user of the host, given by name or uid. The command gets the uid, gid, groups, name and home directory of this user. The default is the caller.',
    ],
  },
  cwd: {
    value: 'DIR',
    complete: 'directory',
    text: [
      'Sets the working directory inside. The default is the home directory, or `/` if the home directory is missing or closed to the user.',
    ],
  },
  shell: {
    text: [
      'Also serves root shells inside, for debugging. Open one from another terminal with `--attach`, or with `virsh console` on `qemu:///system` and `qemu:///session`.',
    ],
  },
  attach: {
    value: '[USER/]NAME',
    complete: 'sandbox',
    text: [
      'Opens a root shell in the running sandbox *NAME*, or runs *COMMAND* there as root. The sandbox must have been started with `--shell`, by the same user. Root names a sandbox of another user as *USER*`/`*NAME*. `--attach` starts no sandbox; of the other options it takes only `--verbose` and `--debug`.',
    ],
  },
  image: {
    value: 'IMAGE',
    complete: 'directory',
    text: [
      'Boots from this boot image, which virt-sandbox-bake(1) has made. *IMAGE* is a name, or a directory with a slash in its path. By default virt-sandbox finds an image that fits, or builds one. An image has a kernel: `--kernver` must match its version, and `--kernpath` and `--kmodpath` are errors.',
    ],
  },
  kernver: {
    value: 'VERSION',
    complete: 'kernel',
    text: [
      'Boots the kernel with this version, as `uname -r` prints it. The default is the running kernel if it is installed and can boot a sandbox, else the newest installed kernel that can.',
    ],
  },
  kernpath: {
    value: 'FILE',
    complete: 'file',
    text: ['Boots this kernel. The default is `/boot/vmlinuz-`*VERSION*.'],
  },
  kmodpath: {
    value: 'DIR',
    complete: 'directory',
    text: [
      'Takes modules from this directory, which holds a tree for each kernel version. The default is `/lib/modules`.',
    ],
  },
  memory: {
    value: 'SIZE',
    text: [
      'Sets the memory of the machine: MiB, or a number with K, M or G. The default is 512 MiB. A container may use at most this much.',
    ],
  },
  vcpus: { value: 'NUMBER', text: ['Sets the number of processors of the machine, 1 to 255. The default is 1.'] },
  accel: {
    value: 'KIND',
    complete: { words: ['auto', 'kvm', 'tcg'] },
    text: [
      '`kvm` requires KVM, `tcg` requires emulation. `auto`, the default, uses KVM if a guest has been seen to run under it, else emulation, and says so in one line on standard error.',
    ],
  },
  'require-kvm': {
    text: [
      'Refuses to start anything but a machine under KVM, before anything boots: no emulation, and no container. QEMU calls only a machine under KVM a security boundary.',
    ],
  },
  'nested-kvm': {
    text: [
      'Gives the machine a processor with `svm` or `vmx`, so that its kernel can run machines under KVM. By default it has neither, since they open much of the host’s KVM to the guest. Such a machine boots cold. A container ignores this option.',
    ],
  },
  boot: {
    value: 'HOW',
    complete: { words: ['auto', 'cold', 'warm'] },
    text: [
      '`warm` restores a snapshot that `virt-sandbox-bake create --warm` has made, and fails if none fits. `cold` boots a machine. `auto`, the default, is warm if a snapshot fits exactly, else cold; `-v` says which, and why.',
    ],
  },
  profile: {
    value: 'PROFILE',
    complete: { words: ['compatible', 'default', 'fast'] },
    text: [
      'Selects a profile. A profile decides how the machine boots: the kernel arguments, the initcalls that are skipped, the devices of the machine, and the form of the boot image. *PROFILE* is `compatible`, `default`, `fast`, the name of a profile of your own (see *FILES*), or a path with a slash in it. The default is VIRT_SANDBOX_PROFILE, else `default`.',
    ],
  },
  pool: {
    value: 'POOL',
    complete: 'pool',
    text: [
      'Takes a sandbox that waits in this pool, and runs the command in it. It is gone when the command ends. The options that `virt-sandbox-ctl pool create` was given decide what it is; only `--name`, `--env`, `--cwd`, `--switchto`, `--timeout`, `--publish`, `--detach`, `--verbose` and `--debug` go with `--pool`. `--switchto` names a user inside. See virt-sandbox-ctl(1).',
    ],
  },
  detach: {
    text: [
      'Starts the sandbox in the background, and prints its name when the command runs. A process of its own holds it, which outlives the shell and its terminal. The command reads end of file, and what it writes goes to a log of at most 16 MiB. Without a command the sandbox lives until it is stopped. Errors of the start are those of a start without it.',
    ],
  },
  timeout: {
    value: 'DURATION',
    text: [
      'Kills the process group of the command after this time, and ends with status 124. *DURATION* is a number with `ms`, `s`, `m` or `h`, or alone for seconds.',
    ],
  },
  'boot-timeout': {
    value: 'SECONDS',
    text: [
      'Fails if the command has not started after this time. The default is 60 seconds. Time at a breakpoint does not count.',
    ],
  },
  'cpu-shares': {
    value: 'SHARES',
    text: [
      'Sets the share of processor time relative to other domains, 2 to 262144. A domain without it has 1024. It works with `qemu:///system` and `lxc:///`.',
    ],
  },
  'cpu-pin': {
    value: 'CPUS',
    text: ['Runs the sandbox only on these processors of the host, such as `0,2-3`. The default is all.'],
  },
  'cpu-quota': {
    value: 'MICROSECONDS',
    text: [
      'Sets how long each processor of the machine may run in each period, 1000 to 17592186044415. Of a container it is all processes together. The other threads of QEMU are not limited. It works with `qemu:///system` and `lxc:///`.',
    ],
  },
  'cpu-period': {
    value: 'MICROSECONDS',
    text: ['Sets the period of `--cpu-quota`, 1000 to 1000000. The default is that of the kernel, 100000.'],
  },
  'cpu-scheduler': {
    value: 'SCHEDULER',
    complete: { words: ['batch', 'idle', 'fifo:', 'rr:'] },
    text: [
      "Sets the scheduler of the host's kernel for the processors of the machine (sched(7)): `batch`, `idle`, or with a priority of 1 to 99 `fifo:`*PRIORITY* or `rr:`*PRIORITY*. These two take CAP_SYS_NICE, or a high enough limit `rtprio`, and keep other programs from a processor while the machine computes.",
    ],
  },
  numa: {
    value: 'NODE:cpus=LIST,...',
    text: [
      'Gives the machine a NUMA node. Nodes count from 0. `cpus` are processors of the machine, such as `0-1,3`; each must be in one node. `memory` is MiB, or a number with K, M or G. Nodes without it get equal parts of what the others leave of `--memory`. `host` are nodes of the host: the memory of this one comes from them, and from no others. It may be repeated.',
    ],
  },
  'numa-nodes': {
    value: 'LIST[,mode=MODE]',
    text: [
      'Takes memory from these NUMA nodes of the host. *MODE* is `strict` (the default: from no other), `preferred` (from others if there is none left), `interleave` (in turn), or `restrictive` (by control groups alone, so with `qemu:///system` and `lxc:///`).',
    ],
  },
  'memory-limit': {
    value: 'SIZE',
    text: [
      'Sets the most memory of the host that the sandbox may have: MiB, or a number with K, M or G. Of a machine that is its memory, what QEMU needs itself, and what it caches. A machine that reaches it and has no swap is killed. It works with `qemu:///system` and `lxc:///`, as the next two.',
    ],
  },
  'memory-soft-limit': {
    value: 'SIZE',
    text: [
      'Sets to what the host brings the sandbox down when memory is scarce. It must not be above `--memory-limit`.',
    ],
  },
  'memory-swap-limit': {
    value: 'SIZE',
    text: ['Sets the most memory and swap together. It needs `--memory-limit`, and must not be below it.'],
  },
  'huge-pages': {
    value: 'SIZE',
    complete: { words: ['default', '2M', '1G'] },
    text: [
      "Takes the machine's memory from the huge pages that the host has reserved. *SIZE* is that of a page, such as `2M` or `1G`, or `default`: the size that the kernel prefers.",
    ],
  },
  'block-weight': {
    value: 'WEIGHT',
    text: [
      'Sets the share of disk time relative to other domains, 100 to 1000. It counts on disks whose scheduler knows weights (`bfq`). It works with `qemu:///system` and `lxc:///`.',
    ],
  },
  'io-threads': {
    value: 'N',
    text: [
      'Starts *N* threads of QEMU, 1 to 64, that serve the disks and mounted images in turn: the first serves the first disk, and so on. Without it the main thread of QEMU serves all.',
    ],
  },
  'disk-limit': {
    value: 'TAG:LIMIT=N,...',
    text: [
      'Limits the disk *TAG* in bytes or operations a second: `total_bytes_sec`, `read_bytes_sec`, `write_bytes_sec`, `total_iops_sec`, `read_iops_sec`, `write_iops_sec`. Each name with `_max` appended limits a burst; it needs the plain limit too, and must not be smaller. A total excludes its read and write limits.',
    ],
  },
  'net-limit': {
    value: 'N:LIMIT=N,...',
    text: [
      'Limits network interface *N*, counted from 0 in the order of `--network`: `inbound.average` and `inbound.peak` in KiB a second, `inbound.burst` in KiB, and the same three for `outbound`. The interface needs `source`, except in a container.',
    ],
  },
  config: {
    value: 'FILE',
    complete: 'file',
    text: [
      'Reads the sandbox from *FILE*, a sandbox.cfg(5). Other options change it: a value of a repeating option is added, any other option replaces what the file says. *COMMAND* replaces the command of the file.',
    ],
  },
  'save-config': {
    value: 'FILE',
    complete: 'file',
    text: [
      'Writes the sandbox to *FILE* and does not run it. `-` is standard output. The format is sandbox.cfg(5), as libvirt-sandbox 0.8 writes it. Only its owner can read a new file, since variables may hold secrets.',
    ],
  },
  'print-xml': { text: ['Prints the domain XML that libvirt would get, and exits.'] },
  'dry-run': { text: ['Finds or builds the boot image, says which image and why, and exits.'] },
  json: { text: ['With `--dry-run`: prints JSON.'] },
  verbose: {
    text: [
      'Says on standard error what is chosen and why: the connection, the kernel, the acceleration, a cold or warm start.',
    ],
  },
  debug: { text: ['Says what `--verbose` says, and each step with its time.'] },
} as const satisfies Readonly<Record<keyof typeof options, Detail>> & Readonly<Record<string, Detail>>;
