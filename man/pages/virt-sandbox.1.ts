/** virt-sandbox(1): all but what it says of its options. */
import { options } from '../../src/cli/options.js';
import type { Program } from '../program-description.js';
import { details } from './virt-sandbox.1-options.js';

export const virtSandbox: Program = {
  name: 'virt-sandbox',
  summary: 'run a command in a sandbox of its own',
  usage: '[*OPTIONS*] [`--`] *COMMAND* [*ARGS*]',
  description: [
    'Runs *COMMAND*, a program of this host, in a virtual machine or a container of its own. There is no guest to install: a machine boots a kernel of the host with a small initrd of modules and an init, and sees the files of the host, which it cannot change. Whatever the command writes elsewhere than in a mount is gone with the sandbox.',
    'Its input, output and error output, its signals and its exit status are those of the command. At a terminal it has a terminal of its own that follows the size of this one; `Ctrl+]` leaves.',
    'The first word that is not an option begins the command; all that follows belongs to it. It is looked up in PATH inside.',
    'By default the command runs as the calling user, without any capability, without a network, with `/tmp`, `/run` and `/dev/shm` writable and empty.',
    'The words of the command and the values of `--env` are handed on byte for byte, and may be as long as Linux takes: 128 KiB each, 2 MiB together. All else has to be UTF-8.',
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
        'A process that the command leaves running may go on writing as long as it is never silent for a second. Then it is killed, and what it would have written later is lost.',
      ],
    },
    {
      title: 'Environment inside',
      body: [
        'The command has USER, LOGNAME, USERNAME and HOME of the user that it runs as, PATH (`/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`), TERM where it has a terminal, and what `--env` gives it, which goes before these. Nothing else is handed on, neither LANG nor TZ. Its umask is 022.',
        'It begins in the home directory, or in `/` where that is not there or may not be entered. What it may read there is another question: QEMU reads the files of the host, under root as a user of its own, for whom */root* and homes are often closed. `--cwd` names another directory.',
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
              'Where it is set and not empty, the messages of the kernel and every step of the init come on standard error. `break:`*STEP* shows none of them and stops before that step, which is one of `interfaces` (with `--network`), `clock`, `root`, `system`, `disks` (with `--disk`), `mount.`*N* (of the mounts, from 0), `network`, `resolver` (with `--network`), `includes` (with `--include`) and `spawn`, with a root shell: at the terminal, or without one for `--attach`.',
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
              '`/run/libvirt-sandbox/.`*UNIQUE*, `/tmp/vs-`*UNIQUE*',
              'A short way to it, where its own path is too long for the sockets in it.',
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
