/** Which sandboxes have shells beside their application, and where. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestShell } from '../../../init/common/config.js';
import type { SandboxConfig } from '../../config/types.js';
import { canMakeTerminals, shellChannel, shellSerial } from '../../domain/shell.js';
import type { Element } from '../../domain/xml.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { SHELL_NAME } from '../../protocol/wire.js';
import type { LaunchOptions } from '../types.js';

/** What is in the state directory of a sandbox with shells. */
export interface ShellPaths {
  /** Only its owner, the launcher's user, may enter it, whoever owns the sockets in it. */
  readonly directory: string;
  /** Where QEMU listens for sessions. */
  readonly sessions: string;
  /** Where the launcher listens while the plan stands still. */
  readonly breakpoint: string;
}

export function shellPaths(stateDirectory: string): ShellPaths {
  const directory = join(stateDirectory, 'shell');
  return {
    directory,
    sessions: join(directory, 'sessions'),
    breakpoint: join(directory, 'break'),
  };
}

export function makeShellDirectory(stateDirectory: string): void {
  mkdirSync(shellPaths(stateDirectory).directory, { mode: 0o700 });
}

/** The console of a container that its shells are served on, counted from 0, and what it is called inside. */
export const SHELL_CONSOLE = 2;
const CONTAINER_SHELL = `/dev/tty${SHELL_CONSOLE + 1}`;

/** What a sandbox has for shells; undefined where one stands: nothing. */
export interface Shell {
  readonly guest: GuestShell;
  /** The first serial line is for `virsh console`. */
  readonly hasConsole: boolean;
  /** Why `virsh console` reaches none of them, where they were asked for; undefined: it does, or nobody asked. */
  readonly noConsole: string | undefined;
}

/** @param kind without a daemon there is nobody who could give anybody a console */
export function shellOf(
  config: SandboxConfig,
  breakpoint: LaunchOptions['breakpoint'],
  kind: ConnectionKind,
): Shell | undefined {
  if (!config.shell && breakpoint === undefined) return undefined;
  if (kind === 'lxc') {
    return { guest: { sessions: CONTAINER_SHELL, console: undefined }, hasConsole: false, noConsole: undefined };
  }
  const noConsole = reasonAgainstConsole(kind);
  const hasConsole = config.shell && noConsole === undefined;
  return {
    guest: { sessions: SHELL_NAME, console: hasConsole ? '/dev/ttyS0' : undefined },
    hasConsole,
    noConsole: config.shell ? noConsole : undefined,
  };
}

/** What the domain of a machine has for its shells. */
export interface ShellElements {
  readonly channels: readonly Element[];
  readonly serials: readonly Element[];
  /** The serial line that the log is on then. */
  readonly log: 'ttyS0' | 'ttyS1';
}

/** @param sockets the state directory by the path that its sockets are given */
export function shellElements({ hasConsole }: Shell, sockets: string): ShellElements {
  return {
    channels: [shellChannel(shellPaths(sockets).sessions)],
    serials: hasConsole ? [shellSerial()] : [],
    log: hasConsole ? 'ttyS1' : 'ttyS0',
  };
}

function reasonAgainstConsole(kind: Exclude<ConnectionKind, 'lxc'>): string | undefined {
  if (kind === 'embedded') return 'without a daemon there is nobody whom virsh could ask';
  return canMakeTerminals(kind) ? undefined : 'the user whom QEMU runs as may not open /dev/ptmx';
}
