/** What virt-sandbox(1) says of each option, beside the table of its options. */
import type { options } from '../../src/cli/options.js';
import type { Detail } from '../program-description.js';

/** An option without an entry here is an error of the compiler. */
export const details = {
  connect: {
    value: 'URI',
    complete: { words: ['qemu:///system', 'qemu:///session', 'qemu:///embed', 'lxc:///'] },
    text: [
      'The libvirt driver to use.',
      {
        terms: [
          ['`qemu:///system`', 'A machine, by the daemon of the system. QEMU runs as a user of its own.'],
          [
            '`qemu:///session`',
            'A machine, by a daemon of the calling user, which libvirt starts where it does not run.',
          ],
          ['`qemu:///embed`', 'A machine, without a daemon, by libvirt’s embedded driver.'],
          ['`lxc:///`', 'A container, by the daemon of the system. It shares the kernel of the host.'],
        ],
      },
      'Without it LIBVIRT_DEFAULT_URI counts, then `uri_default` of libvirt’s own libvirt.conf (*/etc/libvirt/libvirt.conf* for root, *~/.config/libvirt/libvirt.conf* for others), and else a machine is run: by a daemon that answers, which is the system’s for root and the user’s own for others, or without one.',
    ],
  },
  name: {
    value: 'NAME',
    text: [
      'The name of the libvirt domain, which also names the directory of its state and is the host name inside. Two sandboxes cannot have the same one at a time. Without it each has a name of its own, *sandbox-XXXXXXXX*.',
    ],
  },
  root: {
    value: 'DIR',
    complete: 'directory',
    text: [
      'The directory of the host that is the root inside. It is read-only, and it is the host that sees to that. Nothing has to be installed in it. It counts for nothing where a mount has the target `/`.',
    ],
  },
  mount: {
    value: 'TYPE:TARGET=SOURCE',
    complete: { types: ['host-bind', 'host-image', 'guest-bind', 'ram'] },
    text: [
      'Mounts something at *TARGET* inside, in the order of the command line. A target of `/` takes the place of the root.',
      {
        terms: [
          [
            '`host-bind:`*TARGET*`=`[*DIR*][`,ro`]',
            'A directory of the host. Without *DIR* it is a fresh empty one, which is removed with the sandbox.',
          ],
          [
            '`host-image:`*TARGET*`=`*FILE*[`,format=`*FORMAT*][`,ro`]',
            'The file system in a disk image. The format, `raw` or `qcow2` or another that QEMU knows, is taken from the name’s ending, and else is `raw`.',
          ],
          ['`guest-bind:`*TARGET*`=`*DIR*', 'A directory that is inside already, at a second place.'],
          [
            '`ram:`*TARGET*`=`*SIZE*',
            'An empty file system in memory that holds no more than *SIZE*: bytes, or a number with K, KiB, M, MiB, G or GiB.',
          ],
        ],
      },
      '`,ro` makes it read-only; a path that itself ends with `,ro` needs `,rw` behind it.',
    ],
  },
  include: {
    value: 'GUEST[=HOST]',
    complete: 'paths',
    text: [
      'Copies *HOST*, a file or a directory, to the path *GUEST* inside before the command starts. *GUEST* must be below the target of a mount; of several the longest counts. Without *HOST* it is the same path on the host.',
    ],
  },
  includefile: {
    value: 'FILE',
    complete: 'file',
    text: ['A file with one `--include` a line. They come after those of the command line.'],
  },
  disk: {
    value: 'TYPE:TAG=SOURCE',
    complete: { types: ['file', 'block'] },
    text: [
      'Gives the sandbox a disk, which is `/dev/disk/by-tag/`*TAG* inside.',
      {
        terms: [
          [
            '`file:`*TAG*`=`*FILE*[`,format=`*FORMAT*][`,ro`]',
            'A disk image. The format is taken from the name’s ending, and else is `raw`.',
          ],
          ['`block:`*TAG*`=`*DEVICE*[`,ro`]', 'A block device of the host.'],
        ],
      },
      '`,ro` makes it read-only; a path that itself ends with `,ro` needs `,rw` behind it.',
    ],
  },
  network: {
    value: 'KEY[=VALUE],...',
    complete: { list: ['dhcp', 'source=', 'mac=', 'address=', 'route=', 'filter='] },
    text: [
      'Gives the sandbox a network interface. Without one it has none but `lo`.',
      {
        terms: [
          [
            '`dhcp`',
            'Asks for an address by DHCP. It needs no DHCP client in the root. Not with `address` or `route`.',
          ],
          [
            '`source=`*NETWORK*',
            'The libvirt network to connect to. Without it the network is QEMU’s user networking.',
          ],
          ['`mac=`*MAC*', 'The hardware address.'],
          [
            '`address=`*IP*[`/`*PREFIX*][`%`*BROADCAST*]',
            'An address, IPv4 or IPv6; repeats. The prefix is 24 or 64 without one.',
          ],
          ['`route=`*NETWORK*[`/`*PREFIX*]`%`*GATEWAY*', 'A route; repeats. It needs an address.'],
          ['`filter=`*NAME*', 'A network filter of libvirt.'],
          ['`filter.`*KEY*`=`*VALUE*', 'A parameter of the filter.'],
        ],
      },
      'An interface that has neither `dhcp` nor an address is brought up and has no address.',
    ],
  },
  security: {
    value: 'MODE[,label=LABEL]',
    complete: { words: ['dynamic', 'dynamic,label=', 'static', 'static,label=', 'inherit', 'inherit,label='] },
    text: [
      'How the host confines the sandbox, where it has SELinux or AppArmor.',
      {
        terms: [
          ['`dynamic`[`,label=`*LABEL*]', 'libvirt makes a label for it alone, from *LABEL* or the usual one.'],
          ['`static`[`,label=`*LABEL*]', 'Exactly that label, or the caller’s.'],
          ['`inherit`', 'The label of the caller.'],
        ],
      },
    ],
  },
  env: {
    value: 'KEY[=VALUE]',
    text: [
      'A variable for the environment inside. *VALUE* may be empty; without `=` it is that of the caller, and an error where the caller has none. Of two with the same name the later counts. A file of `--save-config` has the value, not where it came from.',
    ],
  },
  privileged: {
    text: [
      'The command stays root and keeps every capability. The root of the host stays read-only all the same. Without it the command has no capability, not even as root. Not with `--switchto`.',
    ],
  },
  switchto: {
    value: 'USER',
    complete: 'user',
    text: [
      'Runs the command as that user of the host, by name or by uid: its uid, gid, groups, name and home directory.',
    ],
  },
  cwd: {
    value: 'DIR',
    complete: 'directory',
    text: ['The working directory inside. Without it it is the home directory, and `/` where there is none inside.'],
  },
  shell: {
    text: [
      'Also starts root shells inside for whoever debugs the sandbox. `--attach` opens one from another terminal.',
    ],
  },
  attach: {
    value: 'NAME',
    complete: 'sandbox',
    text: [
      'Starts nothing: opens a root shell in the running sandbox *NAME*, which was started with `--shell`, or runs *COMMAND* there as root. Of the other options only `--verbose` and `--debug` go with it.',
    ],
  },
  image: {
    value: 'IMAGE',
    complete: 'directory',
    text: [
      'The boot image to use, which virt-sandbox-bake(1) has made: its name, or its directory with a slash in it. Without it one that fits is found or built. An image brings its kernel: a `--kernver` beside it must be the version of that one, and `--kernpath` and `--kmodpath` cannot go with it.',
    ],
  },
  kernver: {
    value: 'VERSION',
    complete: 'kernel',
    text: [
      'The version of the kernel to boot, as `uname -r` prints it. Without it it is the one that runs, where it is installed and can, else the newest installed one that can.',
    ],
  },
  kernpath: {
    value: 'FILE',
    complete: 'file',
    text: ['The kernel to boot. Without it it is `/boot/vmlinuz-`*VERSION*.'],
  },
  kmodpath: {
    value: 'DIR',
    complete: 'directory',
    text: ['The directory that holds a tree of modules for each version. Without it it is `/lib/modules`.'],
  },
  memory: {
    value: 'SIZE',
    text: ['The memory of the machine: MiB, or a number with K, M or G. It is 512 MiB without it.'],
  },
  vcpus: { value: 'NUMBER', text: ['The processors of the machine, 1 to 255. It is one without it.'] },
  accel: {
    value: 'KIND',
    complete: { words: ['auto', 'kvm', 'tcg'] },
    text: [
      '`kvm` insists on KVM, `tcg` on emulation. `auto`, the default, is KVM where a guest has been seen to run under it, and else emulation.',
    ],
  },
  boot: {
    value: 'HOW',
    complete: { words: ['auto', 'cold', 'warm'] },
    text: [
      '`warm` goes on from a machine that `virt-sandbox-bake create --warm` has saved, and fails where none fits; `cold` boots one. `auto`, the default, is warm where a saved machine fits exactly, and else cold; `-v` says which and why.',
    ],
  },
  profile: {
    value: 'PROFILE',
    complete: { words: ['compatible', 'default', 'fast'] },
    text: [
      'How the machine boots: the arguments of its kernel and what of its hardware is there. It is `compatible`, `default`, `fast`, the name of one of your own (see *FILES*), or a path with a slash in it.',
    ],
  },
  'boot-timeout': {
    value: 'SECONDS',
    text: ['How long the guest may take to start the command. It is 60 seconds without it.'],
  },
  'cpu-shares': {
    value: 'SHARES',
    text: ['Processor time in relation to other domains, 2 to 262144. libvirt’s default is 1024.'],
  },
  'cpu-pin': { value: 'CPUS', text: ['The processors of the host that the sandbox may use: `0,2-3`.'] },
  'disk-limit': {
    value: 'TAG:LIMIT=N,...',
    text: [
      'What the disk *TAG* may do: `read_bytes_sec`, `write_bytes_sec`, `total_bytes_sec`, `read_iops_sec`, `write_iops_sec`, `total_iops_sec`, each also with `_max` behind it for the peak of a burst, which needs the rate itself and is no smaller.',
    ],
  },
  'net-limit': {
    value: 'N:LIMIT=N,...',
    text: [
      'What network interface *N*, counted from 0, may do: `inbound.average`, `inbound.peak`, `inbound.burst` and the same of `outbound`, in KiB a second and KiB.',
    ],
  },
  config: {
    value: 'FILE',
    complete: 'file',
    text: [
      'Starts from the sandbox in *FILE*, a sandbox.cfg(5). Other options change it: what repeats is added to what the file has, anything else takes the place of that. A *COMMAND* takes the place of the file’s.',
    ],
  },
  'save-config': {
    value: 'FILE',
    complete: 'file',
    text: [
      'Writes the sandbox to *FILE*, or to standard output where that is `-`, a sandbox.cfg(5) as libvirt-sandbox 0.8 writes it, and does not run it. Only its owner can read a new file, because the environment may hold secrets.',
    ],
  },
  'print-xml': { text: ['Prints the XML of the domain as libvirt would be given it, and exits.'] },
  'dry-run': { text: ['Finds or builds the boot image, says which it is and why, and exits.'] },
  json: { text: ['With `--dry-run`: prints JSON.'] },
  verbose: { text: ['Says on standard error what is chosen, and why: the connection, the kernel, the acceleration.'] },
  debug: { text: ['Also says what is done, step by step, with times.'] },
} as const satisfies Readonly<Record<keyof typeof options, Detail>> & Readonly<Record<string, Detail>>;
