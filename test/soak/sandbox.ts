/** One sandbox of a soak: how it is configured, how it is started, and what is known of it while it runs. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { AtTerminal, type Exit } from '../helpers/pty.js';
import { type RunOptions, startSandbox } from '../helpers/run.js';
import type { Driver, Ground } from './ground.js';
import { URIS } from './ground.js';

export interface Configuration {
  readonly driver: Driver;
  readonly boot: 'warm' | 'cold';
  readonly terminal: boolean;
  readonly share: boolean;
  readonly network: boolean;
  readonly disk: boolean;
  /** The root is served by virtiofs. */
  readonly virtiofs?: boolean;
  /** Of a container: its root can be written to, and the application does. */
  readonly overlay?: boolean;
  /** A home of its own, which is kept. */
  readonly home?: boolean;
}

/** The status of the application when it ends by itself. */
export const APPLICATION_STATUS = 7;

/**
 * The application says `running`, waits for a line, reads what is shared, writes to its home, starts a program of the
 * root, writes to the root if there is an overlay, says `over`, and ends. It has another status if it cannot.
 */
export function applicationOf({ overlay }: Pick<Configuration, 'overlay'>): string {
  const write = overlay ? 'echo x >/usr/soak && grep -qx x /usr/soak || exit 9; ' : '';
  return `echo running; read line; [ ! -e /mnt ] || cat /mnt/hello >/dev/null 2>&1
[ ! -w ~ ] || echo kept >~/kept; ls -d /usr >/dev/null || exit 9; ${write}echo over; exit ${APPLICATION_STATUS}`;
}

/** In seconds: a start that fails ends by itself. */
const BOOT_TIMEOUT = 60;

/** In milliseconds: after the launcher's end, its last output is on its way. */
const LAST_OUTPUT_MS = 300;

const SIZE = { rows: 24, columns: 80 };

/** For people: the configuration in a few words. */
export function describeConfiguration({ driver, boot, ...has }: Configuration): string {
  const more = Object.entries(has).flatMap(([name, isThere]) => (isThere ? [name] : []));
  return [driver, ...(driver === 'lxc' ? [] : [boot]), ...more].join(' ');
}

/** The arguments of virt-sandbox before the command. */
export function argumentsOf(
  ground: Ground,
  name: string,
  configuration: Configuration,
  bootTimeout = BOOT_TIMEOUT,
): string[] {
  const { driver, boot, share, network, disk, virtiofs, overlay, home = false } = configuration;
  const machine = driver === 'lxc' ? [] : ['--boot', boot === 'warm' ? 'auto' : 'cold'];
  return [
    ...['-c', URIS[driver], '-n', name, '--boot-timeout', String(bootTimeout), ...machine],
    ...(driver === 'lxc' ? [] : ['--root-fs', virtiofs === true ? 'virtiofs' : '9p']),
    ...(overlay ? ['--overlay'] : []),
    ...(share ? ['-m', `host-bind:/mnt=${ground.shareFor(driver)}`] : []),
    ...(home ? ['--home', ground.homeFor(driver)] : []),
    ...(network ? ['-N', 'dhcp'] : []),
    ...(disk ? ['--disk', `file:soak=${ground.diskFor(driver)}`] : []),
  ];
}

/** A sandbox that was started. */
export interface Started {
  /** Of the launcher. */
  readonly pid: number;
  /** What it has written so far. At a terminal, both are what the terminal shows. */
  readonly out: () => string;
  readonly err: () => string;
  /** Whether the application runs; false if the launcher ended before. */
  readonly running: Promise<boolean>;
  /** How the launcher ended, when its output is complete. */
  readonly exited: Promise<Exit>;
  /** Has the application end. */
  readonly sayEnd: () => void;
  /** The settings of the terminal, if there is one, and what they were before. */
  readonly settings?: () => string;
  readonly settingsBefore?: string;
  /** Closes the terminal, as somebody closes a window. */
  readonly hangUp?: () => void;
  /** Call it when the launcher has ended. */
  readonly close: () => void;
}

/** Starts a sandbox with the application of the soak. */
export function start(
  ground: Ground,
  name: string,
  configuration: Configuration,
  { bootTimeout, env }: { readonly bootTimeout?: number; readonly env?: Readonly<Record<string, string>> } = {},
): Started {
  const args = [
    ...argumentsOf(ground, name, configuration, bootTimeout),
    '--',
    'sh',
    '-c',
    applicationOf(configuration),
  ];
  const options = ground.optionsOf(configuration.driver);
  const how = { ...options, env: { ...options.env, ...env } };
  return configuration.terminal ? startAtTerminal(args, how) : startPlain(args, how);
}

function startPlain(args: readonly string[], options: RunOptions): Started {
  // Every run is bounded by who starts it.
  const bound = { timeout: 3_600_000 };
  const sandbox = startSandbox(args, { ...options, ...bound, input: 'open' });
  const { child } = sandbox;
  const closed = sandbox.result.then(
    () => {},
    () => {},
  );
  const exited = once(child, 'exit').then(async ([code, signal]): Promise<Exit> => {
    // What is left over may hold the pipes.
    await Promise.race([closed, sleep(LAST_OUTPUT_MS * 10)]);
    return { code, signal };
  });
  return {
    pid: sandbox.pid,
    out: sandbox.out,
    err: sandbox.stderr,
    running: sandbox.until(/^running$/m).then(
      () => true,
      () => false,
    ),
    exited,
    sayEnd: () => child.stdin?.write('\n'),
    close: () => {
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
    },
  };
}

function startAtTerminal(args: readonly string[], options: RunOptions): Started {
  const terminal = new AtTerminal(args, SIZE, options);
  let isThere = true;
  const exited = once(terminal.child, 'exit').then(async ([code, signal]): Promise<Exit> => {
    await sleep(LAST_OUTPUT_MS);
    return { code, signal };
  });
  // A line of progress is erased by what follows it.
  const text = () => terminal.text.replaceAll('\u001b[K', '\n').replaceAll('\r', '');
  // It rejects when the launcher ends; a start is bounded by its own deadline.
  const running = terminal.until(/running\r?\n/, 600_000).then(
    () => true,
    () => false,
  );
  return {
    pid: terminal.child.pid ?? 0,
    out: text,
    err: text,
    running,
    exited,
    sayEnd: () => {
      if (isThere) terminal.type('\n');
    },
    settings: () => (isThere ? terminal.settings() : terminal.before),
    hangUp: () => {
      isThere = false;
      terminal.hangUp();
    },
    settingsBefore: terminal.before,
    close: () => void terminal.close(),
  };
}
