/** virt-sandbox(1), without the texts of its options. */
import { options } from '../../src/cli/sandbox-options.js';
import type { Program } from '../program-description.js';
import { details } from './virt-sandbox.1-options.js';

export const virtSandbox: Program = {
  name: 'virt-sandbox',
  summary: 'run a command in a sandbox of its own',
  usage: '[*OPTIONS*] [`--`] *COMMAND* [*ARGS*]',
  description: [
    'Runs *COMMAND*, a program of this host, in a virtual machine or a container of its own. There is no guest to install. A machine boots a kernel of the host and a small initrd with modules and an init. It sees the files of the host and cannot change them. What the command writes outside a mount is gone when the sandbox ends.',
    'virt-sandbox passes on the command’s standard streams, the signals it receives, and the command’s exit status. If standard input and output are terminals, the command gets a terminal of its own with the same size. `Ctrl+]` there ends the sandbox with exit status 0.',
    'The first word that is not an option begins the command. All later words belong to the command. The command is looked up in PATH inside.',
    'By default the command runs as the calling user, without any capability and without a network. `/tmp`, `/run` and `/dev/shm` are empty and writable.',
    'The words of the command and the values of `--env` arrive byte for byte. Linux limits them: 128 KiB each, 2 MiB together. Everything else must be UTF-8.',
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
            ['*N*', 'The exit status of the command.'],
            ['`128+`*N*', 'Signal *N* ended the command.'],
            ['`127`', 'The command was not found.'],
            ['`126`', 'The command cannot be executed.'],
            [
              '`125`',
              'The sandbox itself failed. One line on standard error says what happened and what to do. The last lines of the guest’s console follow, if there are any.',
            ],
          ],
        },
        'A process that the command leaves running may continue to write. After a second of silence it is killed, and its later output is lost.',
      ],
    },
    {
      title: 'Environment inside',
      body: [
        'The command gets USER, LOGNAME, USERNAME and HOME of its user, PATH (`/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`), TERM if it has a terminal, and the variables of `--env`, which override these. Nothing else is passed on, not even LANG or TZ. The umask is 022.',
        'The command starts in the home directory, or in `/` if the home directory is missing or closed to the user. `--cwd` selects another directory. QEMU reads the files of the host, for root as a separate user. */root* and home directories are often closed to that user.',
      ],
    },
    {
      title: 'Environment',
      body: [
        {
          terms: [
            ['LIBVIRT_DEFAULT_URI', 'The default for `--connect`.'],
            [
              'LIBVIRT_SANDBOX_INIT_DEBUG',
              'If set and not empty, shows the messages of the kernel and every step of the init on standard error. `break:`*STEP* shows none of them. It stops before *STEP* with a root shell, at the terminal if there is one, else for `--attach`. The steps are `interfaces` (with `--network`), `clock`, `root`, `system`, `disks` (with `--disk`), `mount.`*N* (the mounts, counted from 0), `network`, `confine` (in a machine, without `--privileged`), `resolver` (with `--network`), `includes` (with `--include`) and `spawn`.',
            ],
            [
              'LIBVIRT_SANDBOX_STRACE',
              '`1`, or an expression for `strace -e`. Runs the command under strace(1), which must be installed in the root.',
            ],
            ['VIRT_SANDBOX_PROFILE', 'The default for `--profile`.'],
            [
              'VIRT_SANDBOX_TRACE',
              'A file. When virt-sandbox ends, it writes the times of the start and the end there, as lines of JSON. `guest:`*FILE* also asks a machine for its clock and the log of its kernel.',
            ],
            [
              'XDG_CACHE_HOME, XDG_CONFIG_HOME',
              'The directories of caches and settings, instead of `~/.cache` and `~/.config`. XDG_CACHE_HOME also moves root’s store of boot images.',
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
              'The state of a running sandbox: of root, of another user.',
            ],
            [
              '`/run/libvirt-sandbox/.`*UNIQUE*, `/tmp/vs-`*UNIQUE*',
              'A short alias of the state directory, if its own path is too long for its sockets.',
            ],
            [
              '`/var/cache/virt-sandbox`, `~/.cache/virt-sandbox`',
              'Boot images, and what was learned about the host: of root, of another user. You may remove the directory while no sandbox runs.',
            ],
            ['`~/.config/libvirt-sandbox/profiles/`*PROFILE*`.json`', 'Your own profiles.'],
          ],
        },
      ],
    },
    {
      title: 'Examples',
      body: [
        'A filter in a pipe:',
        { block: 'echo "hello from the host" | virt-sandbox -- tr a-z A-Z' },
        'A shell as nobody, with a directory to work in:',
        { block: 'virt-sandbox -S nobody -m host-bind:/srv=/tmp/work --cwd /srv -- /bin/sh' },
        'A copy of a host file in a new directory, which is removed afterwards:',
        { block: 'virt-sandbox -m host-bind:/srv= -i /srv/hosts=/etc/hosts -- ls -l /srv' },
        'Root with every capability, to format a new disk image:',
        {
          block:
            'truncate -s 1G data.img\nvirt-sandbox -p --disk file:data=data.img -- mkfs.ext4 /dev/disk/by-tag/data',
        },
        'A sandbox saved in a file and run twice, the second time with another command:',
        {
          block:
            'virt-sandbox -S nobody -e LANG=C -m ram:/work=64M --save-config job.cfg -- /bin/date\nvirt-sandbox --config job.cfg\nvirt-sandbox --config job.cfg -- df /work',
        },
      ],
    },
    {
      title: 'See also',
      body: [
        'virt-sandbox-bake(1), virt-sandbox-bench(1), virt-sandbox-ctl(1), virt-sandbox-image(1), sandbox.cfg(5), virsh(1), systemd-nspawn(1)',
      ],
    },
  ],
};
