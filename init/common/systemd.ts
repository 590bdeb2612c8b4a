/** The systemd of the root as the application: its plan, its command line, and that of processes beside it. */
import { posix } from 'node:path';
import type { Guest, SpawnOperation } from '../../src/protocol/operations.js';
import { SpawnFlag, WriteFlag } from '../../src/protocol/wire.js';
import { ALL_CAPABILITIES, ALL_IN_NAMESPACE } from './capabilities.js';
import type { GuestConfig, GuestSystemd } from './config.js';
import { DEFAULT_PATH } from './environment.js';
import {
  call,
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  mountOf,
  type PlannedCall,
  type Step,
  tolerated,
} from './step.js';
import {
  asUser,
  besideSystemd,
  EMPTY,
  HOSTNAME,
  MACHINE_ID,
  START_SCRIPT,
  SYSTEMD_CGROUP,
  SYSTEMD_DIRECTORY,
  scriptFiles,
  UP_FIFO,
  WHOLE_PROC,
} from './systemd-scripts.js';

export const SYSTEMD_STEP = 'systemd';

const UNITS = '/run/systemd/system';

/** The target that systemd boots to if it starts some units alone. */
const TARGET = 'virt-sandbox.target';

/** What is started beside the units. */
const ALWAYS = ['systemd-tmpfiles-setup.service', 'systemd-journald.socket', 'dbus.socket', 'virt-sandbox-up.socket'];

const S_IFIFO = 0o010_000;

/** Opens the FIFO. A socket unit needs a service, which nothing ever starts. */
const UP_UNITS = {
  'virt-sandbox-up.socket': `[Unit]
Description=What waits for systemd
DefaultDependencies=no
[Socket]
ListenFIFO=${UP_FIFO}
SocketMode=0600
`,
  'virt-sandbox-up.service': `[Unit]
Description=What waits for systemd
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/true
`,
};

/** The step that lets systemd start what it is to start, and nothing else. It comes last. */
export function systemdStep(config: GuestConfig): Step[] {
  const { systemd } = config;
  if (systemd === undefined) return [];
  const files = {
    ...scriptFiles(systemd.units.length > 0, config.platform === 'machine'),
    ...systemdFiles(systemd, config.environment),
    [HOSTNAME]: `${config.hostname}\n`,
  };
  return [
    {
      name: SYSTEMD_STEP,
      calls: [
        ...(config.platform === 'machine' ? groupCalls() : containerCalls(systemd)),
        call({ op: 'mkdir', path: EMPTY, mode: 0o755 }),
        call({ op: 'mknod', path: UP_FIFO, mode: S_IFIFO | 0o600, deviceMajor: 0, deviceMinor: 0 }),
        ...Object.entries(files).map(([path, text]) => file(path, text)),
        ...(systemd.units.length > 0 ? [] : wantAll()),
      ],
    },
  ];
}

const GROUPS = '/sys/fs/cgroup';

/** A part of the machine's control groups for systemd, as large as the machine. */
function groupCalls(): PlannedCall[] {
  return [
    call(mountOf('cgroup2', GROUPS, 'cgroup2', MS_NOSUID | MS_NODEV | MS_NOEXEC, '')),
    ...controllers(GROUPS),
    call({ op: 'mkdir', path: SYSTEMD_CGROUP, mode: 0o755 }),
  ];
}

/**
 * A control group of root inside, below that of the container, and what else root of a user namespace cannot make. The
 * init goes to a group beside that of systemd: one with processes of its own cannot have controllers.
 */
function containerCalls(systemd: GuestSystemd): PlannedCall[] {
  const all = `${SYSTEMD_DIRECTORY}/groups`;
  const above = posix.join(all, systemd.group ?? '/');
  const own = posix.join(above, groupNameOf(systemd));
  return [
    call({ op: 'mkdir', path: all, mode: 0o700 }),
    call(mountOf('cgroup2', all, 'cgroup2', MS_NOSUID | MS_NODEV | MS_NOEXEC, '')),
    // The init makes them for root inside, whose they are.
    ...['init', 'systemd'].map((name) => call({ op: 'mkdir', path: `${own}/${name}`, mode: 0o755 })),
    call(write(`${own}/init/cgroup.procs`, '0')),
    ...[above, own].flatMap(controllers),
    call(mountOf(own, GROUPS, '', MS_BIND, '')),
    // Nobody inside sees other groups of the host.
    call({ op: 'unmount', path: all, flags: MNT_DETACH }),
    // With a whole one the kernel lets root inside mount that of its own PID namespace.
    call({ op: 'mkdir', path: WHOLE_PROC, mode: 0o755 }),
    call(mountOf('proc', WHOLE_PROC, 'proc', MS_NOSUID | MS_NODEV | MS_NOEXEC, '')),
    // Only the init makes anything in /dev.
    tolerated({ op: 'symlink', target: '/run/systemd/journal/dev-log', path: '/dev/log' }),
  ];
}

/** What a container's group of systemd is called: as nothing else, also of an earlier run. */
export function groupNameOf({ bootId }: GuestSystemd): string {
  return `virt-sandbox-${bootId}`;
}

/** Some kernels lack some of them, and a group with processes has none. */
function controllers(group: string): PlannedCall[] {
  const names = ['cpu', 'cpuset', 'io', 'memory', 'pids'];
  return names.map((name) => tolerated(write(`${group}/cgroup.subtree_control`, `+${name}`)));
}

function write(path: string, text: string) {
  return { op: 'writeFile', path, mode: 0o644, flags: WriteFlag.APPEND, data: new TextEncoder().encode(text) } as const;
}

/** The control group of the container's init, which libvirt has put it in. @throws {OperationError} */
export async function ownGroup(guest: Guest): Promise<string> {
  const { value } = await guest.call({ op: 'readFile', path: '/proc/self/cgroup', limit: 65_536 });
  return /^0::(\/.*)$/m.exec(new TextDecoder().decode(value))?.[1] ?? '/';
}

/** What is started if no units are named: all that the target wants, and what waits for systemd. */
function wantAll(): PlannedCall[] {
  const link = `${UNITS}/sysinit.target.wants/virt-sandbox-up.socket`;
  return [
    call({ op: 'mkdir', path: `${UNITS}/sysinit.target.wants`, mode: 0o755 }),
    call({ op: 'symlink', target: '../virt-sandbox-up.socket', path: link }),
    // Updates that systemd makes after a change of /usr are those of the host, and were made there.
    ...['/etc/.updated', '/var/.updated'].map((path) => tolerated(file(path, '').operation)),
  ];
}

function file(path: string, text: string): PlannedCall {
  return call({ op: 'writeFile', path, mode: 0o644, flags: WriteFlag.PARENTS, data: new TextEncoder().encode(text) });
}

/** Settings and units, by path. */
export function systemdFiles(
  { units, machineId, keepsJournal }: GuestSystemd,
  environment: GuestConfig['environment'],
): Readonly<Record<string, string>> {
  const own = Object.entries(UP_UNITS).map(([name, text]) => [`${UNITS}/${name}`, text]);
  return {
    ...Object.fromEntries(own),
    [MACHINE_ID]: `${machineId}\n`,
    ...(units.length === 0 ? {} : { [`${UNITS}/${TARGET}`]: targetOf(units) }),
    '/run/systemd/system.conf.d/virt-sandbox.conf': managerSettings(environment),
    // The last name counts, of all directories.
    '/run/systemd/journald.conf.d/zzz-virt-sandbox.conf': journalSettings(keepsJournal),
    // The init unmounts what it has mounted. Systemd would start a program for each.
    [`${UNITS}/mount.d/virt-sandbox.conf`]: '[Unit]\nDefaultDependencies=no\n',
    // Without that, journald writes to memory until a unit says that /var is there.
    ...(keepsJournal ? { '/run/systemd/journal/flushed': '' } : {}),
  };
}

function targetOf(units: readonly string[]): string {
  return `[Unit]
Description=Units of the sandbox
Wants=${[...units, ...ALWAYS].join(' ')}
After=${units.join(' ')}
AllowIsolate=yes
`;
}

function managerSettings(environment: GuestConfig['environment']): string {
  const variables = environment.map(({ key, value }) => `DefaultEnvironment=${quoted(`${key}=${value}`)}\n`);
  return `[Manager]\n${variables.join('')}`;
}

/** As systemd.syntax(7) has it, and without specifiers. A line of a file ends at a line feed. */
function quoted(text: string): string {
  const escapes: Readonly<Record<string, string>> = { '\n': '\\n', '"': '\\"', '\\': '\\\\', '%': '%%' };
  return `"${text.replace(/[\n"\\%]/g, (character) => escapes[character] ?? character)}"`;
}

function journalSettings(keepsJournal: boolean): string {
  // The kernel's log is the launcher's: it has the console.
  return `[Journal]
Storage=${keepsJournal ? 'persistent' : 'volatile'}
ReadKMsg=no
Audit=no
ForwardToConsole=yes
MaxLevelConsole=debug
`;
}

/** The variables of systemd itself. It hands none of them to units. */
function environmentOfSystemd({ machineId }: GuestSystemd): string[] {
  return [
    `PATH=${DEFAULT_PATH}`,
    // It then leaves the kernel, its devices and the clock alone. https://systemd.io/CONTAINER_INTERFACE/
    'container=virt-sandbox',
    `container_uuid=${machineId}`,
    'TERM=dumb',
    'SYSTEMD_COLORS=0',
    `SYSTEMD_GENERATOR_PATH=${EMPTY}`,
    `SYSTEMD_ENVIRONMENT_GENERATOR_PATH=${EMPTY}`,
  ];
}

/** The operation that starts systemd, from that of any application. It has a terminal, for /dev/console. */
export function spawnOfSystemd(spawn: SpawnOperation, systemd: GuestSystemd): SpawnOperation {
  const target = systemd.units.length > 0 ? TARGET : systemd.bootTarget;
  const words = ['--system', `--unit=${target}`, '--log-target=console', '--show-status=no'];
  return {
    ...spawn,
    argv: ['unshare', '--pid', '/bin/sh', START_SCRIPT, ...words],
    environment: environmentOfSystemd(systemd),
    cwd: '/',
    flags: spawn.flags | SpawnFlag.PTY,
  };
}

/** The operation that starts a process where systemd is, from that of any process. */
export function spawnBesideSystemd(spawn: SpawnOperation, config: GuestConfig): SpawnOperation {
  const command = spawn.uid === 0 ? spawn.argv : asUser(spawn.argv, spawn);
  return {
    ...spawn,
    argv: besideSystemd(command, spawn.cwd, config.cwd !== undefined),
    cwd: '/',
    uid: 0,
    gid: 0,
    groups: [],
    capabilities: config.platform === 'container' ? ALL_IN_NAMESPACE : ALL_CAPABILITIES,
  };
}
