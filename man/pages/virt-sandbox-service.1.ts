/** virt-sandbox-service(1). The table of its commands is in src/cli/service. */
import { createOptions, serviceCommands } from '../../src/cli/service/options.js';
import type { Detail, Program } from '../program-description.js';
import { virtSandbox } from './virt-sandbox.1.js';

/** That page describes them; here they have their line of the help. */
const ofVirtSandbox: Readonly<Record<string, Detail>> = Object.fromEntries(
  Object.entries(virtSandbox.details)
    .filter(([name]) => Object.hasOwn(createOptions, name))
    .map(([name, { value, complete }]) => [
      name,
      { ...(value === undefined ? {} : { value }), ...(complete === undefined ? {} : { complete }) },
    ]),
);

export const virtSandboxService: Program = {
  name: 'virt-sandbox-service',
  summary: 'run services of this host in sandboxes',
  usage: '[`-c` *URI*] *COMMAND* [*OPTIONS*]',
  description: [
    'Makes services: a command of this host, or of an image, that runs in a sandbox of its own, a machine or a container. A service sees the files of the host, and what it writes goes to a state of its own, which is kept. So many services share one installation, and each is confined.',
    '*NAME* has letters `a` to `z`, digits, `_`, `.` and `-`, at most 64 of them, and begins with a letter, a digit or `_`. Services of root are those of the host. Every other user has services of their own, over `qemu:///session` or `qemu:///embed`.',
    '`--connect` may stand before *COMMAND*, too. `create` keeps it. Of a service that is there its file names the URI, and another one is refused; a file that names none, as those of libvirt-sandbox, contradicts none. `start`, `restart` and `run` start such a service over it, unless systemd has a unit for it: that starts what the file says. Without a URI, `restart`, and `clone` and `export` with `--stop`, start it again over the one that it ran over. `list`, and `status` without a *NAME*, show services of that URI and those whose files name none. `delete --path` is held against the file in the same way.',
    '`create` makes a service and does not start it. What it is to run stands behind `--`. Options of virt-sandbox(1) mean the same here. Root inside has the capabilities that engines give to containers, such as those for ports below 1024 and for other users; with `--privileged` it has every one. Without `--network` the service has its own loopback alone, and `--publish` works all the same.',
    'The state is kept in a directory, *PATH*`/`*NAME*, or with `--imagesize` in a disk image, *PATH*`/`*NAME*`.qcow2`. Services of users have an image. The state of a container is in the directory all the same, and `--imagesize` bounds it: it gets a file system of its own there, `layers.ext4`, which this host mounts while the service runs. A path that exists is never taken.',
    'With `--filetype` all files of a directory have the SELinux label `system_u:object_r:`*TYPE*`:`*LEVEL*, where *LEVEL* is that of the static label of `--security`: when the service is made, in clones, which have a level of their own, and what `upgrade` copies. It takes root. A host without SELinux keeps these labels as well. Where SELinux confines what libvirt starts, a service with a directory and a known URI has a static label by default, with two categories that no other service has, and its files have the type that the policy names for them; a service with an image has a dynamic label. An image is labelled by libvirt.',
    'A sandbox reads the files of the host as a user to whom none belongs, so what only root, or a group, may read is closed to it, to root inside too. With `--copy` such files are copied into the state, and their paths are printed: of the package that has the program or the unit, of those that were built with it, and of each `--package`, what is below `/etc` and `/var`, and all that is in directories that no other package has. `--copy-path` copies files that no package has, such as a key in `/etc/ssl/private`. Copies have the owners and modes of what they were made of. Those of packages below `/var/log` are made empty. Root inside reads the copies, and changes of the host do not reach them. In a container with `--uid` it is what that user may not read, and with `--privileged` nothing.',
    '`clone` makes a service of what *SOURCE* is at this moment. The clone has a name, a UUID, hardware addresses and a state of its own, and where *SOURCE* itself has written them, another `/etc/machine-id`, host name and seed of random numbers; with `--new-host-keys` also other keys of sshd(8). Blocks of the state are shared where the file system can, as Btrfs and XFS do. Without `--publish` it has the same ports inside at the next free ports of this host, which it prints. A static address is refused without `--network`.',
    'A *SOURCE* that runs is refused, unless it is to be stopped for that time and started again (`--stop`), or held still (`--live`): it writes out what it has in memory, the file system of an image is frozen, and nothing inside runs until all is copied. The clone is then as after a power failure at that moment, with all that was written before. If the state is in an image, a machine is started with it for a moment: this host never mounts what guests have written.',
    '`export` writes a service with its state as one tar archive, to standard output unless `--output` names a file; that file is there as a whole or not at all, and for this user alone, since it has all that the service keeps secret. A service that runs is refused, stopped (`--stop`) or held still (`--live`), as with `clone`, until all is written. Nothing is packed: write it to zstd(1) or gzip(1) for that.',
    '`import` makes a service *NAME* of such an archive, `-` for standard input. It has identities of its own, as a clone has, and the same ports of this host, but for those that somebody has. An archive may be from anybody: it cannot write outside of the new state. A service that would have more of this host than its own state is refused, and what it would have is named: directories and files of the host, another root, a network, an address that others reach, a port below 1024, a base label, `--privileged`, a container, `qemu:///system`, its start at boot. `--trust` permits all of it. Without it a static label and the type of files are those of this host, as `create` chooses them. A service of an ordinary user reads the files of that user, so it is imported with `--trust` only. An image that names another file is always refused. 1 GiB of the file system, or a twentieth of a smaller one, stays free, and as much of its inodes: an archive that takes more is refused, a file of one before anything is unpacked. `--fill` permits it.',
    '`delete` stops a service that runs, and removes all that was made for it. Of a service that libvirt-sandbox made, the content stays, and `delete` says where it is.',
    '`upgrade` shows which files of its host a service hides by copies of its own, where the host has something newer: what the host had when the service was made, or upgraded last, what it has now, and what the service has. A copy that the service has never changed goes, so that the service sees the host’s file; a copy that `create` has made is made anew. What both have changed stays as the service has it. Files below `/etc`, copies of `create` and files of packages are known. The service must not run. A state in a disk image is looked at by a machine that runs for that. A service of an OCI image stays with the image that it was made of, until `upgrade` takes it to the one that the name means now; files that differ between these two take the place of those of the host then. `upgrade` also takes over files of other versions, *NAME*`.sandbox` of libvirt-sandbox before 0.5 among them. One with a static label of SELinux on the level `s0`, as all of those had, gets two categories that no other service has, and its content gets that level.',
    'With `--unitfile` the systemd of the root runs as the application, and starts these units, what they need, and nothing else. The service is ready when they are active. `--restart`, `--health` and `--publish` mean the same; `reload` has units read their settings again, `logs` shows what they write, also when the service has ended, and `logs --journal` the journal inside while it runs.',
    'The systemd of the host has a unit for each service, *NAME*`_sandbox.service`, from its start or the next `systemctl daemon-reload` on: virt-sandbox-service-generator makes it, as systemd.generator(7) describes. `start`, `stop` and `restart` ask systemd then. With `--autostart` systemd starts the service at boot; that of a user, when the user logs in. Without such a unit a process of this program holds the service.',
    '`edit` runs `VISUAL`, `EDITOR` or vi(1). What is written counts when it is checked; a service that runs has it from its next start.',
    'Whoever kills this program at any moment leaves no half of a service: the next command for the same name removes what was begun, or finishes what was being removed.',
  ],
  options: {},
  commands: serviceCommands,
  details: {
    ...ofVirtSandbox,
    path: { value: 'PATH', complete: 'directory' },
    output: { value: 'FILE', complete: 'file' },
    package: { value: 'PKG', complete: 'package' },
    'copy-path': { value: 'PATH', complete: 'paths' },
    imagesize: { value: 'SIZE' },
    filetype: { value: 'TYPE' },
    uid: { value: 'UID' },
    gid: { value: 'GID' },
    username: { value: 'USER', complete: 'user' },
    homedir: { value: 'DIR' },
    restart: { value: 'POLICY', complete: { words: ['no', 'on-failure', 'always'] } },
    health: { value: 'WORDS' },
    time: { value: 'SECONDS' },
    since: { value: 'TIME' },
    tail: { value: 'LINES' },
    user: { value: 'USER', complete: 'user' },
    workdir: { value: 'DIR' },
    unitfile: { value: 'UNIT', complete: 'unit' },
  },
  runs: 'nothing',
  argument: 'service',
  argumentsOf: { create: 'none', list: 'none', import: 'file' },
  sections: [
    {
      title: 'Exit status',
      body: [
        {
          terms: [
            ['`0`', 'Success.'],
            [
              '`125`',
              'A failure. One line on standard error says what happened and what to do. Where there are several names, each is done, and the first failure counts.',
            ],
            ['`3`', '`status`: a service that is named does not run.'],
            ['`129`, `130`, `143`', '`SIGHUP`, `SIGINT` or `SIGTERM` interrupted it. What was begun is undone.'],
            [
              'any other',
              '`run` has that of the service, `start` that of a program which cannot be started, `execute` and `connect` that of the command: 128+*N* when signal *N* ended it, 127 when it is not found, 126 when it cannot be executed. A unit of systemd has 78 where somebody has to change the service first.',
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
              '`/etc/libvirt-sandbox/services/`*NAME*`/config/sandbox.cfg`, `~/.config/libvirt-sandbox/services/`*NAME*`/config/sandbox.cfg`',
              'The service *NAME* of root, of another user; sandbox.cfg(5) describes it. `XDG_CONFIG_HOME` moves the second one.',
            ],
            [
              '`/var/lib/libvirt/filesystems/`*NAME*, `/var/lib/libvirt/images/`*NAME*`.qcow2`',
              'Its state: in a directory, in an image.',
            ],
            [
              '`~/.local/share/libvirt-sandbox/images/`*NAME*`.qcow2`',
              'The state of a user’s service. `XDG_DATA_HOME` moves it.',
            ],
            [
              '`/var/lib/libvirt-sandbox/services/`*NAME*, `~/.local/state/libvirt-sandbox/services/`*NAME*',
              'What is known of its life, and its log: of root, of another user. `XDG_STATE_HOME` moves the second one.',
            ],
          ],
        },
      ],
    },
    {
      title: 'Examples',
      body: [
        'Two services that share the host’s nginx, each with a port and a state of its own:',
        {
          block:
            'virt-sandbox-service -c lxc:/// create --copy --publish 8081:80 web1 -- nginx -g "daemon off;"\nvirt-sandbox-service -c lxc:/// create --copy --publish 8082:80 web2 -- nginx -g "daemon off;"\nvirt-sandbox-service list',
        },
      ],
    },
    {
      title: 'See also',
      body: [
        'virt-sandbox(1), virt-sandbox-bake(1), virt-sandbox-ctl(1), virt-sandbox-image(1), sandbox.cfg(5), systemd.service(5)',
      ],
    },
  ],
};
