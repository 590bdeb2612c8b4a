/** Starts the application: its argv, identity, capabilities and terminal. */
import { type Guest, OperationError, type SpawnOperation } from '../../src/protocol/operations.js';
import { SpawnFlag } from '../../src/protocol/wire.js';
import { ALL_CAPABILITIES, ALL_IN_NAMESPACE } from './capabilities.js';
import type { GuestConfig } from './config.js';
import { environmentOf } from './environment.js';
import { OCI_CAPABILITIES } from './oci-root.js';
import { tracedCommand } from './strace.js';
import { spawnOfSystemd } from './systemd.js';

/**
 * Starts the application, in the config's working directory, else in the home directory, else in /.
 * @returns the guest's number for it
 * @throws {OperationError} if it cannot be started; the message names the system call
 */
export async function spawnApplication(guest: Guest, config: GuestConfig): Promise<number> {
  const spawn = spawnOperation(config, config.cwd ?? config.identity.home);
  try {
    return (await guest.call(spawn)).value.process;
  } catch (error) {
    // The home directory may be missing inside; a directory that was asked for may not.
    if (config.cwd === undefined && error instanceof OperationError && isChdir(error)) {
      return (await guest.call({ ...spawn, cwd: '/' }, { recover: true })).value.process;
    }
    throw error;
  }
}

/** Whether there is an application. Without one a sandbox lives until it is stopped. */
export function hasApplication({ command }: Pick<GuestConfig, 'command'>): boolean {
  return command.length > 0;
}

/** Whether a spawn failed because of its working directory. */
export function isChdir(error: OperationError): boolean {
  return error.message.startsWith('chdir(');
}

function spawnOperation(config: GuestConfig, cwd: string): SpawnOperation {
  const spawn = { ...processOperation(config, cwd), flags: flagsOf(config) | SpawnFlag.APPLICATION };
  return config.systemd === undefined ? spawn : spawnOfSystemd(spawn, config.systemd);
}

/** The operation that starts a process as the config says, beside the application. */
export function processOperation(config: GuestConfig, cwd: string): SpawnOperation {
  return {
    op: 'spawn',
    argv: config.trace ? tracedCommand(config.command, config.trace, config.terminal !== undefined) : config.command,
    environment: environmentOf(config),
    cwd,
    uid: config.identity.uid,
    gid: config.identity.gid,
    groups: config.identity.groups,
    capabilities: capabilitiesOf(config),
    flags: flagsOf(config),
    rows: config.terminal?.rows ?? 0,
    columns: config.terminal?.columns ?? 0,
    timeLimit: config.timeLimit ?? 0,
  };
}

/**
 * Of a process that is root. Another user has those of set-user-ID programs at most. In a container they count in the
 * application's user namespace only.
 */
function capabilitiesOf({ privileged, ociRoot, service, platform, systemd }: GuestConfig): bigint {
  if (systemd !== undefined && platform === 'container') return ALL_IN_NAMESPACE;
  if (privileged) return ALL_CAPABILITIES;
  return ociRoot || service ? OCI_CAPABILITIES : 0n;
}

function flagsOf({ platform, terminal, trace, userNamespaces, systemd }: GuestConfig): number {
  return (
    (terminal ? SpawnFlag.PTY : 0) |
    (terminal && trace ? SpawnFlag.TRACE : 0) |
    (platform === 'container' && (userNamespaces || systemd !== undefined) ? SpawnFlag.NAMESPACES : 0)
  );
}
