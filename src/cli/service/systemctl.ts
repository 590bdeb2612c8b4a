/** Services that the host's systemd holds: it is asked to start and stop them. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { serviceError } from '../../service/errors.js';
import type { SystemdUnit } from '../../service/run/under-systemd.js';
import { hostUnitName } from '../../service/systemd/unit.js';

/** Whether a systemd that runs here is that of this user's services: it has this socket. */
export function hasSystemd(): boolean {
  const runtime = process.geteuid?.() === 0 ? '/run' : process.env['XDG_RUNTIME_DIR'];
  return runtime !== undefined && existsSync(join(runtime, 'systemd/private'));
}

/** The unit that systemd has for a service of that name, if it runs here and has one. */
export async function knownUnit(name: string): Promise<SystemdUnit | undefined> {
  if (!existsSync('/run/systemd/system')) return undefined;
  const known: SystemdUnit = {
    unit: hostUnitName(name),
    manager: process.geteuid?.() === 0 ? 'system' : 'user',
  };
  const { status, output } = await systemctl(known, ['show', '--property=LoadState', '--value'], 'pipe');
  return status === 0 && output.trim() === 'loaded' ? known : undefined;
}

/** How often systemd has started a unit again by itself; undefined: that is not known. */
export async function restartsOf(unit: SystemdUnit): Promise<number | undefined> {
  const { status, output } = await systemctl(unit, ['show', '--property=NRestarts', '--value'], 'pipe');
  const text = output.trim();
  return status === 0 && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/**
 * Has systemd start or stop it, and waits until that is done.
 * @throws {SandboxError} `service-unit-failed`
 */
export async function askSystemd(unit: SystemdUnit, verb: 'start' | 'stop' | 'restart'): Promise<void> {
  const { status } = await systemctl(unit, [verb], 'inherit');
  if (status === 0) return;
  const user = unit.manager === 'user' ? ' --user' : '';
  throw serviceError(
    'service-unit-failed',
    `systemctl ${verb} ${unit.unit} ended with status ${status}`,
    `see systemctl${user} status ${unit.unit}, and journalctl${user} --unit ${unit.unit}`,
  );
}

async function systemctl(
  { unit, manager }: SystemdUnit,
  [verb = '', ...options]: readonly string[],
  stdout: 'pipe' | 'inherit',
): Promise<{ status: number; output: string }> {
  const words = [...(manager === 'user' ? ['--user'] : []), '--no-ask-password', verb, ...options, '--', unit];
  const child = spawn('systemctl', words, { stdio: ['ignore', stdout, stdout === 'pipe' ? 'ignore' : 'inherit'] });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const status = await new Promise<number>((resolve) => {
    child.once('error', () => resolve(127));
    child.once('close', (code) => resolve(code ?? 1));
  });
  return { status, output };
}
