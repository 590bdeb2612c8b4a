/** Starts the application: its argv, identity, capabilities and terminal. */
import { type Guest, OperationError, type SpawnOperation } from '../../src/protocol/operations.js';
import { SpawnFlag } from '../../src/protocol/wire.js';
import type { GuestConfig } from './config.js';
import { environmentOf } from './environment.js';
import { tracedCommand } from './strace.js';

export const ALL_CAPABILITIES = 0xffff_ffff_ffff_ffffn;

/**
 * Starts the application.
 * @returns its process ID in the guest
 * @throws {OperationError} when it could not be started; its detail names the system call
 */
export async function spawnApplication(guest: Guest, config: GuestConfig): Promise<number> {
  const spawn = spawnOperation(config, config.cwd ?? config.identity.home);
  try {
    return (await guest.call(spawn)).value;
  } catch (error) {
    // A home directory need not exist inside; a directory that somebody asked for must.
    if (config.cwd === undefined && error instanceof OperationError && isChdir(error)) {
      return (await guest.call({ ...spawn, cwd: '/' }, { recover: true })).value;
    }
    throw error;
  }
}

/** True when the spawn failed because of the working directory. */
export function isChdir(error: OperationError): boolean {
  return error.message.startsWith('chdir(');
}

function spawnOperation(config: GuestConfig, cwd: string): SpawnOperation {
  return {
    op: 'spawn',
    argv: config.trace ? tracedCommand(config.command, config.trace, config.terminal !== undefined) : config.command,
    environment: environmentOf(config),
    cwd,
    uid: config.identity.uid,
    gid: config.identity.gid,
    groups: config.identity.groups,
    capabilities: config.privileged ? ALL_CAPABILITIES : 0n,
    flags: config.terminal ? SpawnFlag.PTY | (config.trace ? SpawnFlag.TRACE : 0) : 0,
    rows: config.terminal?.rows ?? 0,
    columns: config.terminal?.columns ?? 0,
  };
}
