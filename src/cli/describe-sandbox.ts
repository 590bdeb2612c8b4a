/** The sandbox that a command line of virt-sandbox describes. */
import { isatty } from 'node:tty';
import { configFromOptions } from '../config/options.js';
import type { SandboxConfig } from '../config/types.js';
import type { Arguments } from './sandbox-arguments.js';

/** A sandbox, and what only its sandbox.cfg needs. */
export interface Described {
  readonly config: SandboxConfig;
  /**
   * Whether --save-config writes that the application has a terminal: as --config says, else whether standard input is
   * one, as libvirt-sandbox does.
   */
  readonly savedTty: boolean;
  /** What may surprise a reader of the file: root keeps every capability. */
  readonly note?: string | undefined;
}

/**
 * Reads --config, if it is given, and changes that sandbox by the other options.
 * @param tty whether the application gets a terminal; it overrides the file
 * @param isIdle it needs no command
 * @throws {SandboxError} as `configFromOptions` and `loadSandboxCfg`
 */
export async function describeSandbox(args: Arguments, tty: boolean, isIdle = false): Promise<Described> {
  if (args.config === undefined)
    return { config: await configFromOptions({ ...args, tty }, undefined, undefined, isIdle), savedTty: isatty(0) };
  const { loadSandboxCfg } = await import('../config/sandbox-cfg/sandbox-cfg.js');
  const base = await loadSandboxCfg(args.config);
  const command = args.command.length > 0 ? args.command : undefined;
  const config = await configFromOptions({ ...args, command, tty }, undefined, base, isIdle);
  // A file of libvirt-sandbox says that the user is root and nothing of capabilities: root keeps them there, and here.
  const keeps = config.privileged === true && args.privileged !== true;
  const note = keeps
    ? `capabilities: root keeps all, unless ${args.config} has privileged=false in [identity]`
    : undefined;
  return { config, savedTty: base.tty, note };
}
