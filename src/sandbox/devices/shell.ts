/** Shells beside the application: their paths on the host and their devices. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestShell } from '../../../init/common/config.js';
import type { SandboxConfig } from '../../config/types.js';
import { canMakeTerminals, shellChannel, shellSerial } from '../../domain/shell.js';
import type { Element } from '../../domain/xml.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { SHELL_NAME } from '../../protocol/wire.js';
import { SandboxError } from '../../util/errors.js';
import { forCaller, option, shortOption } from '../../util/option-names.js';
import type { LaunchOptions } from '../types.js';

/** Paths in the state directory of a sandbox with shells. */
export interface ShellPaths {
  /** Only the launcher's user may enter it, whoever owns the sockets in it. */
  readonly directory: string;
  /** The socket on which QEMU listens for sessions. */
  readonly sessions: string;
  /** The socket on which the launcher listens at a breakpoint. */
  readonly breakpoint: string;
}

/** @param name of the directory in the state directory */
export function shellPaths(stateDirectory: string, name = 'shell'): ShellPaths {
  const directory = join(stateDirectory, name);
  return {
    directory,
    sessions: join(directory, 'sessions'),
    breakpoint: join(directory, 'break'),
  };
}

export function makeShellDirectory(stateDirectory: string): void {
  mkdirSync(shellPaths(stateDirectory).directory, { mode: 0o700 });
}

/** The console for a container's shells, counted from 0, and its path inside. */
export const SHELL_CONSOLE = 2;
const CONTAINER_SHELL = `/dev/tty${SHELL_CONSOLE + 1}`;

/** How a sandbox serves shells. */
export interface Shell {
  readonly guest: GuestShell;
  /** A shell runs on the first serial line, for `virsh console`. */
  readonly hasConsole: boolean;
  /** Why there is no shell for `virsh console`; undefined: there is one, or none was asked for. */
  readonly noConsole: string | undefined;
}

/**
 * Undefined if the sandbox needs no shells. A breakpoint needs one even if the config does not.
 * @throws {SandboxError} `shell-with-overlay`, `shell-with-image`
 */
export function shellOf(
  config: SandboxConfig,
  breakpoint: LaunchOptions['breakpoint'],
  kind: ConnectionKind,
): Shell | undefined {
  if (!config.shell && breakpoint === undefined) return undefined;
  if (kind === 'lxc') {
    refuseReplacedShell(config);
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

/**
 * A shell beside the application is root of the host's kernel, in a container, and a program of the root. Root inside owns
 * that program in an overlay, so it could have put another one there. In one that is kept, an earlier run could, whoever
 * runs this one.
 */
function refuseReplacedShell({ root, overlay, identity, privileged }: SandboxConfig): void {
  if (overlay === undefined || privileged === true) return;
  if (root.type === 'image') throw withImage();
  const isKept = overlay.type === 'directory';
  if (identity.uid !== 0 && !isKept) return;
  const instead = isKept
    ? `keep nothing (${forCaller({ commandLine: '--overlay', program: 'overlay: true' })}) and run as another user`
    : 'run as another user';
  throw new SandboxError({
    stage: 'config',
    code: 'shell-with-overlay',
    message:
      `a container with ${option('overlay')} has no root shell beside the application: that would be root of this host, ` +
      `and a program that the application${isKept ? ', or an earlier one,' : ''} may have replaced`,
    remedy:
      `leave ${forCaller({ commandLine: '--shell', program: 'shell' })} and breakpoints out, ${instead} ` +
      `(${forCaller({ commandLine: '-S USER', program: 'identity' })}), or run a machine: ` +
      shortOption('connect', 'qemu:///embed'),
  });
}

/** Whoever has made the image has made its shell. */
function withImage(): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'shell-with-image',
    message:
      'a container whose root is an image has no root shell beside the application: that would be root of this host, and ' +
      'a program of the image',
    remedy:
      `leave ${forCaller({ commandLine: '--shell', program: 'shell' })} and breakpoints out, look into it with ` +
      `virt-sandbox-ctl exec, or run a machine: ${shortOption('connect', 'qemu:///embed')}`,
  });
}

/** A machine's devices for shells. */
export interface ShellElements {
  readonly channels: readonly Element[];
  readonly serials: readonly Element[];
  /** The serial line of the kernel's log. */
  readonly log: 'ttyS0' | 'ttyS1';
}

/** @param sockets path of the state directory for sockets */
export function shellElements({ hasConsole }: Shell, sockets: string): ShellElements {
  return {
    channels: [shellChannel(shellPaths(sockets).sessions)],
    serials: hasConsole ? [shellSerial()] : [],
    log: hasConsole ? 'ttyS1' : 'ttyS0',
  };
}

function reasonAgainstConsole(kind: Exclude<ConnectionKind, 'lxc'>): string | undefined {
  if (kind === 'embedded') return 'there is no daemon that virsh could ask';
  return canMakeTerminals(kind) ? undefined : 'the user whom QEMU runs as may not open /dev/ptmx';
}
