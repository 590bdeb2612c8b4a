/** The systemd of the root as the application: its plan, its command line, and that of processes beside it. */
import type { SpawnOperation } from '../../src/protocol/operations.js';
import { SpawnFlag, WriteFlag } from '../../src/protocol/wire.js';
import { ALL_CAPABILITIES } from './capabilities.js';
import type { GuestConfig, GuestSystemd } from './config.js';
import { DEFAULT_PATH } from './environment.js';
import { call, MS_NODEV, MS_NOEXEC, MS_NOSUID, mountOf, type PlannedCall, type Step, tolerated } from './step.js';
import {
  asUser,
  besideSystemd,
  EMPTY,
  MACHINE_ID,
  START_SCRIPT,
  SYSTEMD_CGROUP,
  scriptFiles,
  UP_FIFO,
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
  const files = { ...scriptFiles(systemd.units.length > 0), ...systemdFiles(systemd, config.environment) };
  return [
    {
      name: SYSTEMD_STEP,
      calls: [
        ...groupCalls(),
        call({ op: 'mkdir', path: EMPTY, mode: 0o755 }),
        call({ op: 'mknod', path: UP_FIFO, mode: S_IFIFO | 0o600, deviceMajor: 0, deviceMinor: 0 }),
        ...Object.entries(files).map(([path, text]) => file(path, text)),
        ...(systemd.units.length > 0 ? [] : wantAll()),
      ],
    },
  ];
}

/** A part of the machine's control groups for systemd, as large as the machine. */
function groupCalls(): PlannedCall[] {
  const root = '/sys/fs/cgroup';
  // Some kernels lack some of them.
  const controllers = ['cpu', 'io', 'memory', 'pids'].map((name) =>
    tolerated({
      op: 'writeFile',
      path: `${root}/cgroup.subtree_control`,
      mode: 0o644,
      flags: WriteFlag.APPEND,
      data: new TextEncoder().encode(`+${name}`),
    }),
  );
  return [
    call(mountOf('cgroup2', root, 'cgroup2', MS_NOSUID | MS_NODEV | MS_NOEXEC, '')),
    ...controllers,
    call({ op: 'mkdir', path: SYSTEMD_CGROUP, mode: 0o755 }),
  ];
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
    '/run/systemd/journald.conf.d/virt-sandbox.conf': journalSettings(keepsJournal),
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
  return `[Journal]\nStorage=${keepsJournal ? 'persistent' : 'volatile'}\nReadKMsg=no\nAudit=no\n`;
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
    capabilities: ALL_CAPABILITIES,
  };
}
