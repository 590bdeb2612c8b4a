/** The commands and options of virt-sandbox-service: for the parser, the help and the manual page. */
import type { Options } from 'yargs';
import { type CommandEntry, flagOption as flag, textOption as text } from '../command-table.js';
import { options as sandboxOptions } from '../sandbox-options.js';

const texts = (describe: string, alias?: string): Options => ({ ...text(describe, alias), array: true, nargs: 1 });

const json = flag('print JSON');

const connectOption = text(
  'libvirt URI: qemu:///system, qemu:///session, qemu:///embed (no daemon) or lxc:/// (a container)',
  'c',
);

/** Options of virt-sandbox that mean the same of a service. */
const {
  mount,
  network,
  publish,
  security,
  root,
  pull,
  platform,
  authfile,
  'tls-verify': tlsVerify,
  env,
  hide,
  memory,
  vcpus,
  accel,
  boot,
  'boot-timeout': bootTimeout,
  'cpu-shares': cpuShares,
  'cpu-quota': cpuQuota,
  'memory-limit': memoryLimit,
} = sandboxOptions;

/** Of a command for services that are there. */
const ownUri = text('libvirt URI of the service; refused if its file names another', 'c');
const startUri = text('libvirt URI of the service; one whose file names none is started over it', 'c');

export const createOptions = {
  connect: connectOption,
  unitfile: texts('a unit of the root that its systemd is to run, as nginx.service; repeats', 'u'),
  package: texts('with --copy: a package whose files below /etc and /var are copied; repeats', 'P'),
  copy: flag('copy files of the packages that only root may read into the state, and print their paths', 'C'),
  'copy-path': texts('copy that file or directory, as far as only root may read it; repeats'),
  path: text('directory in which the state is kept [/var/lib/libvirt/filesystems]', 'p'),
  imagesize: text(
    'size of the state, in MB, or a number with K, M or G: a disk image, or the bound of a container’s directory',
    'i',
  ),
  root,
  pull,
  platform,
  authfile,
  'tls-verify': tlsVerify,
  mount,
  network,
  publish,
  env,
  hide,
  security,
  filetype: text('SELinux type of the files of the state, on the level of a static label of --security', 'f'),
  privileged: flag('root inside has every capability'),
  uid: text('number of the user inside [of the caller]', 'U'),
  gid: text('number of its group [that of the user]', 'G'),
  username: text('its name [that of the uid]'),
  homedir: text('its home directory [that of the uid]'),
  restart: text('no, on-failure or always: when a service that has ended is started again [no]'),
  autostart: flag("the host's systemd starts it at boot"),
  health: text('words for a shell inside: the service is ready, and well, when they succeed'),
  memory,
  vcpus,
  accel,
  boot,
  'boot-timeout': bootTimeout,
  'cpu-shares': cpuShares,
  'cpu-quota': cpuQuota,
  'memory-limit': memoryLimit,
  json,
} as const satisfies Record<string, Options>;

export const serviceCommands = {
  create: {
    command: 'create <name> [command..]',
    describe: 'Make a service that runs COMMAND, which stands behind --, or units; it is not started',
    options: createOptions,
  },
  clone: {
    command: 'clone <source> <name>',
    describe: 'Make a service NAME that is as SOURCE is now, with a state, ports and identities of its own',
    options: {
      connect: text('libvirt URI of SOURCE; refused if its file names another', 'c'),
      path: text("directory in which the state is kept [that of SOURCE's state]", 'p'),
      publish: { ...publish, describe: `${publish.describe}; in place of those of SOURCE` },
      network: { ...network, describe: `${network.describe}; in place of those of SOURCE` },
      security,
      live: flag('hold SOURCE still while its state is copied, if it runs'),
      stop: flag('stop SOURCE while its state is copied, if it runs, and start it again'),
      'new-host-keys': flag('make new host keys for sshd, where SOURCE has some'),
      json,
    },
  },
  export: {
    command: 'export <name>',
    describe:
      'Write a service with its state as one tar archive, which import reads; it has what the service keeps secret',
    options: {
      connect: ownUri,
      output: text('file to write, for this user alone [standard output]', 'o'),
      live: flag('hold NAME still while its state is written, if it runs'),
      stop: flag('stop NAME while its state is written, if it runs, and start it again'),
    },
  },
  import: {
    command: 'import <file> <name>',
    describe: 'Make a service NAME of an archive, - for standard input, with ports and identities of its own',
    options: {
      connect: text('libvirt URI of an archive that names none; refused if it names another', 'c'),
      path: text('directory in which the state is kept [/var/lib/libvirt/filesystems]', 'p'),
      trust: flag('let it have what reaches beyond its own state: host paths, networks, every capability, a container'),
      fill: flag('let it take all of the room that there is; else a part of the file system stays free'),
      json,
    },
  },
  delete: {
    command: 'delete <name..>',
    describe: 'Stop services, and remove them with their state',
    options: { connect: ownUri, path: text('directory in which the state is; refused if it is in another', 'p') },
  },
  list: {
    command: 'list',
    describe: 'List services',
    options: {
      connect: text('only services of this libvirt URI, and those whose file names none', 'c'),
      running: flag('only those that run', 'r'),
      quiet: flag('print names only', 'q'),
      json,
    },
  },
  start: {
    command: 'start <name..>',
    describe: 'Start services, one after the other, and wait until each is ready',
    options: { connect: startUri },
  },
  stop: {
    command: 'stop <name..>',
    describe: 'Stop services: the program is asked to end, and killed if it does not',
    options: {
      connect: ownUri,
      time: text('seconds that the program may take to end [stoptimeout of the service]', 't'),
    },
  },
  restart: {
    command: 'restart <name..>',
    describe: 'Stop services that run, and start them',
    options: {
      connect: startUri,
      time: text('seconds that the program may take to end [stoptimeout of the service]', 't'),
    },
  },
  run: {
    command: 'run <name>',
    describe: 'Run a service in the foreground, as its systemd unit does; SIGTERM stops it',
    options: { connect: startUri },
  },
  status: {
    command: 'status [name..]',
    describe: 'Show how services are: since when, memory, ports, health, restarts, the last end',
    options: {
      connect: text('as of list; where services are named, refused if the file of one names another', 'c'),
      json,
    },
  },
  logs: {
    command: 'logs <name>',
    describe: 'Print what a service has written, also when it has ended',
    options: {
      connect: ownUri,
      follow: flag('go on until the service ends', 'f'),
      since: text('only what was written since a time, such as 2026-11-28T09:00:00Z, or in the last 10s, 5m or 1h30m'),
      tail: text('only so many lines of the end [all]'),
      timestamps: flag('print the time of each line', 't'),
      journal: flag('the journal inside, of a service with units that runs'),
    },
  },
  execute: {
    command: 'execute <name> <command..>',
    describe: 'Run a command, which stands behind --, in a service that runs',
    options: {
      connect: ownUri,
      user: text('name or number of a user inside [that of the service]', 'u'),
      workdir: text('working directory inside [that of the service]', 'w'),
      env: texts('NAME=VALUE sets a variable; NAME passes on the value of the caller; repeats', 'e'),
      tty: flag('give the command a terminal; it has one anyway if this program has', 't'),
      interactive: flag('pass standard input on, as is done anyway', 'i'),
      noseclabel: flag('of libvirt-sandbox, and does nothing: the command always has the label of the service', 'N'),
    },
  },
  connect: {
    command: 'connect <name>',
    describe: 'Open a shell in a service that runs; Ctrl+] leaves it',
    options: { connect: ownUri, user: text('name or number of a user inside [that of the service]', 'u') },
  },
  reload: {
    command: 'reload <name>',
    describe: 'Have units inside a service reload their configuration',
    options: { connect: ownUri, unitfile: texts('a unit [all of the service]; repeats', 'u') },
  },
  show: {
    command: 'show <name>',
    describe: 'Print what a service is: its sandbox.cfg, or JSON',
    options: { connect: ownUri, json },
  },
  upgrade: {
    command: 'upgrade <name>',
    describe: 'Give a service what its host has newer, and show which of the files that it hides it keeps',
    options: { connect: ownUri, 'dry-run': flag('only show it'), json },
  },
  edit: {
    command: 'edit <name>',
    describe: 'Change the sandbox.cfg of a service in an editor; it is checked before it counts',
    options: { connect: ownUri },
  },
} as const satisfies Record<string, CommandEntry>;

export type ServiceCommandName = keyof typeof serviceCommands;

export const serviceUsage = `Usage: virt-sandbox-service [-c URI] COMMAND [OPTIONS]

Runs services of this host in sandboxes: makes them, starts and stops them, looks after them.`;

export const serviceEpilogue = `Services of root are those of the host; each other user has services of their own. ls is list, rm is delete,
inspect is show --json. virt-sandbox-service COMMAND --help shows the options of a command.

Exit status: 0; 125 for a failure, the first one where there are several names; of status 3 if a service
that is named does not run; of run that of the service; of execute and connect that of the command, 128+N
when signal N ended it, 127 when it is not found, 126 when it cannot be executed.

Environment: LIBVIRT_DEFAULT_URI (as --connect), EDITOR, VISUAL (of edit), XDG_CONFIG_HOME (a user's
services), XDG_DATA_HOME (their state), XDG_STATE_HOME (their logs).`;
