/** The commands and options of virt-sandbox-service: for the parser, the help and the manual page. */
import type { Options } from 'yargs';
import { type CommandEntry, flagOption as flag, textOption as text } from '../command-table.js';
import { options as sandboxOptions } from '../sandbox-options.js';

const json = flag('print JSON');
const texts = (describe: string, alias?: string): Options => ({ ...text(describe, alias), array: true, nargs: 1 });

export const connectOption = text(
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

export const createOptions = {
  connect: connectOption,
  unitfile: texts('a unit of the root that its systemd is to run, as nginx.service; repeats', 'u'),
  path: text('directory in which the state is kept [/var/lib/libvirt/filesystems]', 'p'),
  imagesize: text(
    'keep the state in a disk image of this size: MB, or a number with K, M or G; without it in a directory',
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
  privileged: flag('root inside has every capability'),
  uid: text('number of the user inside [of the caller]', 'U'),
  gid: text('number of its group [that of the user]', 'G'),
  username: text('its name [that of the uid]'),
  homedir: text('its home directory [that of the uid]'),
  restart: text('no, on-failure or always: when a service that has ended is started again [no]'),
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
  delete: {
    command: 'delete <name..>',
    describe: 'Stop services, and remove them with their state',
    options: {},
  },
  list: {
    command: 'list',
    describe: 'List services',
    options: {
      running: flag('only those that run', 'r'),
      quiet: flag('print names only', 'q'),
      json,
    },
  },
  show: {
    command: 'show <name>',
    describe: 'Print what a service is: its sandbox.cfg, or JSON',
    options: { json },
  },
  edit: {
    command: 'edit <name>',
    describe: 'Change the sandbox.cfg of a service in an editor; it is checked before it counts',
    options: {},
  },
} as const satisfies Record<string, CommandEntry>;

export type ServiceCommandName = keyof typeof serviceCommands;

export const serviceUsage = `Usage: virt-sandbox-service [-c URI] COMMAND [OPTIONS]

Runs services of this host in sandboxes: makes them, starts and stops them, looks after them.`;

export const serviceEpilogue = `Services of root are those of the host; each other user has services of their own. ls is list, rm is delete,
inspect is show --json. virt-sandbox-service COMMAND --help shows the options of a command.

Exit status: 0; 125 for a failure, the first one where there are several names.

Environment: LIBVIRT_DEFAULT_URI (as --connect), EDITOR, VISUAL (of edit), XDG_CONFIG_HOME (a user's
services), XDG_DATA_HOME (their state).`;
