/** Sandboxes with the systemd of this host, and units of a test. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configFromOptions } from '../../src/config/options.js';
import type { Overlay, Service } from '../../src/config/types.js';
import { validateConfig } from '../../src/config/validate.js';
import { Sandbox, SandboxError } from '../../src/index.js';
import type { SystemdSandbox, UnitState } from '../../src/service/run/unit-states.js';
import { unitsActive } from '../../src/service/run/units-active.js';
import { uniqueName } from './leftovers.js';

/** A reason to skip, or false if this host has a systemd, which need not run. */
export const unlessHostSystemd: string | false = existsSync('/lib/systemd/systemd')
  ? false
  : 'this host has no systemd';

/** Where the units of a test are, inside: nothing else is there on most hosts. */
export const OWN_UNITS = '/usr/local/lib/systemd/system';

/** Writes units into a directory. @returns the directory */
export function writeUnits(directory: string, units: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(units)) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}

export interface SystemdOptions {
  readonly connect: string;
  readonly name?: string;
  readonly uuid?: string;
  readonly overlay?: Overlay;
  readonly environment?: Readonly<Record<string, string>>;
  /** Serves it to other processes. */
  readonly control?: boolean;
}

/** Starts a sandbox whose systemd starts `units`. @param directory with units of the test */
export async function startSystemd(
  directory: string,
  units: readonly string[],
  {
    connect,
    name = uniqueName(),
    uuid,
    overlay = { type: 'memory' },
    environment = {},
    control = false,
  }: SystemdOptions,
): Promise<Sandbox> {
  const service: Service = { type: 'systemd', bootTarget: 'multi-user.target', units };
  const mount = [`host-bind:${OWN_UNITS}=${directory},ro`];
  const env = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
  const config = await configFromOptions({ command: ['/lib/systemd/systemd'], mount, env, name, privileged: true });
  return Sandbox.startChecked(validateConfig({ ...config, uuid, overlay, service }), { connect, control });
}

/** What a command inside prints. */
export async function said(sandbox: Sandbox, command: string): Promise<string> {
  return (await sandbox.run(command, { reject: true, timeout: '60s' })).stdout.trim();
}

/** What the sandbox has written until its end. */
export async function logOf(sandbox: Sandbox): Promise<string> {
  let text = '';
  for await (const chunk of sandbox.stdout) text += String(chunk);
  return text;
}

/** As a start of a service waits: on a busy host systemd may be too slow for systemctl. */
export async function untilActive(sandbox: SystemdSandbox, units: readonly string[]): Promise<UnitState[]> {
  for (;;)
    try {
      return await unitsActive(sandbox, units);
    } catch (error) {
      if (!(error instanceof SandboxError) || error.code !== 'systemd-silent') throw error;
    }
}
