/** virt-sandbox(1), beside the table of its options. */
import { options } from '../src/cli/options.js';
import type { Detail, Program } from './program.js';

/** An option without an entry here is an error of the compiler. */
const details = {
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
      'Without it LIBVIRT_DEFAULT_URI counts, and else a machine is run: by a daemon that answers, which is the system’s for root and the user’s own for others, or without one.',
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
            '`file:`*TAG*`=`*FILE*[`,format=`*FORMAT*]',
            'A disk image. The format is taken from the name’s ending, and else is `raw`.',
          ],
          ['`block:`*TAG*`=`*DEVICE*', 'A block device of the host.'],
        ],
      },
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
    complete: { words: ['dynamic', 'dynamic,label=', 'static,label=', 'inherit', 'inherit,label='] },
    text: [
      'How the host confines the sandbox, where it has SELinux or AppArmor.',
      {
        terms: [
          ['`dynamic`[`,label=`*LABEL*]', 'libvirt makes a label for it alone, from *LABEL* or the usual one.'],
          ['`static,label=`*LABEL*', 'Exactly that label.'],
          ['`inherit`', 'The label of the caller.'],
        ],
      },
    ],
  },
  env: {
    value: 'KEY=VALUE',
    text: ['A variable for the environment inside. *VALUE* may be empty; of two with the same name the later counts.'],
  },
  privileged: {
    text: [
      'The command stays root and keeps every capability. The root of the host stays read-only all the same. Without it the command has no capability, not even as root. Not with `--switchto`.',
    ],
  },
  switchto: {
    value: 'USER',
    complete: 'user',
    text: ['Runs the command as that user of the host: its uid, gid, groups, name and home directory.'],
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
      'Starts nothing: opens a root shell in the running sandbox *NAME*, which was started with `--shell`, or runs *COMMAND* there as root.',
    ],
  },
  image: {
    value: 'IMAGE',
    complete: 'directory',
    text: [
      'The boot image to use, which virt-sandbox-bake(1) has made: its name, or its directory with a slash in it. Without it one that fits is found or built. An image brings its kernel, so that `--kernpath` and `--kmodpath` cannot go with it.',
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
      'What the disk *TAG* may do: `read_bytes_sec`, `write_bytes_sec`, `total_bytes_sec`, `read_iops_sec`, `write_iops_sec`, `total_iops_sec`, each also with `_max` behind it for the peak of a burst.',
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

export const virtSandbox: Program = {
  name: 'virt-sandbox',
  summary: 'run a command in a sandbox of its own',
  usage: '[*OPTIONS*] [`--`] *COMMAND* [*ARGS*]',
  description: [
    'Runs *COMMAND*, a program of this host, in a virtual machine or a container of its own. There is no guest to install: a machine boots a kernel of the host with a small initrd of modules and an init, and sees the files of the host, which it cannot change. Whatever the command writes elsewhere than in a mount is gone with the sandbox.',
    'Its input, output and error output, its signals and its exit status are those of the command. At a terminal it has a terminal of its own that follows the size of this one; `Ctrl+]` leaves.',
    'The first word that is not an option begins the command; all that follows belongs to it. It is looked up in PATH inside.',
    'By default the command runs as the calling user, without any capability, without a network, with `/tmp`, `/run` and `/dev/shm` writable and empty.',
  ],
  options,
  details,
  runs: 'a command',
  sections: [
    {
      title: 'Exit status',
      body: [
        {
          terms: [
            ['*N*', 'That of the command.'],
            ['`128+`*N*', 'Signal *N* ended the command.'],
            ['`127`', 'The command was not found.'],
            ['`126`', 'The command cannot be executed.'],
            [
              '`125`',
              'The sandbox itself failed. One line on standard error says what happened and what to do; below it are the last lines of the guest’s console, where there are any.',
            ],
          ],
        },
      ],
    },
    {
      title: 'Environment',
      body: [
        {
          terms: [
            ['LIBVIRT_DEFAULT_URI', 'As `--connect`, which goes before it.'],
            [
              'LIBVIRT_SANDBOX_INIT_DEBUG',
              'Whatever it is set to: the messages of the kernel and every step of the init come on standard error. `break:`*STEP* also stops before that step, which is one of `clock`, `root`, `system`, `network` and `spawn`, with a root shell: at the terminal, or without one for `--attach`.',
            ],
            [
              'LIBVIRT_SANDBOX_STRACE',
              '`1`, or an expression as strace(1) takes it with `-e`: the command runs under the strace of the root.',
            ],
            ['VIRT_SANDBOX_PROFILE', 'As `--profile`, which goes before it.'],
            [
              'XDG_CACHE_HOME, XDG_CONFIG_HOME',
              'Where a user’s caches and settings are, in place of `~/.cache` and `~/.config`.',
            ],
          ],
        },
      ],
    },
    {
      title: 'Files',
      body: [
        {
          terms: [
            [
              '`/run/libvirt-sandbox/`*NAME*, `~/.cache/libvirt-sandbox/`*NAME*',
              'The state of a running sandbox of root, and of another user.',
            ],
            [
              '`/var/cache/virt-sandbox`, `~/.cache/virt-sandbox`',
              'Boot images, and what was found out about the host. It may be removed while no sandbox runs.',
            ],
            ['`~/.config/libvirt-sandbox/profiles/`*PROFILE*`.json`', 'Profiles of your own.'],
          ],
        },
      ],
    },
    {
      title: 'Examples',
      body: [
        'A filter, with nothing but its input and output:',
        { block: 'echo "hello from the host" | virt-sandbox -- tr a-z A-Z' },
        'A shell as nobody, with a directory to work in:',
        { block: 'virt-sandbox -S nobody -m host-bind:/srv=/tmp/work --cwd /srv -- /bin/sh' },
        'A file of the host in a directory that is otherwise empty, and gone afterwards:',
        { block: 'virt-sandbox -m host-bind:/srv= -i /srv/hosts=/etc/hosts -- ls -l /srv' },
        'As root with every capability, to format a new disk image:',
        {
          block:
            'truncate -s 1G data.img\nvirt-sandbox -p --disk file:data=data.img -- mkfs.ext4 /dev/disk/by-tag/data',
        },
        'A sandbox described once and run again, the second time with another command:',
        {
          block:
            'virt-sandbox -S nobody -e LANG=C -m ram:/work=64M --save-config job.cfg -- /bin/date\nvirt-sandbox --config job.cfg\nvirt-sandbox --config job.cfg -- df /work',
        },
      ],
    },
    {
      title: 'See also',
      body: ['virt-sandbox-bake(1), virt-sandbox-bench(1), sandbox.cfg(5), virsh(1), systemd-nspawn(1)'],
    },
  ],
};
