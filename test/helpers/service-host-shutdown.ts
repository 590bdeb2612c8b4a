/**
 * Runs as a service of the systemd of a machine, at each of two boots. The first time it starts services, gives them
 * state, and has the host power off; the second time it looks what came of that. It prints one line of JSON for each
 * part, and guest/service-host-shutdown.test.ts judges them.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Facts, facts, isActive, LOOK_MS, saidOf, systemctl, unit, until } from './host-systemctl.js';

/** A container, and a machine over libvirt's daemon. They start when the host boots, and keep words. */
export const SERVICES = ['box', 'system'] as const;

/** A container that does not end when it is asked to. */
export const STUBBORN = 'stubborn';

/** The file inside that keeps words. */
export const WORDS = '/gate/words';

/** It stays from boot to boot. */
const SECOND = '/var/lib/second-boot';

const PROGRAM = '/mnt/bin/virt-sandbox-service';

export interface Parts {
  readonly started: Readonly<Record<string, Facts>>;
  /** libvirtd was killed, and has started again: the services before and after, and what that of the daemon has kept. */
  readonly killedDaemon: {
    readonly before: Readonly<Record<string, Facts>>;
    readonly after: Readonly<Record<string, Facts>>;
    readonly said: string;
  };
  /** The second time. What the first systemd has said of its end, without the time. */
  readonly shutdown: readonly string[];
  /** All are active again, started by their target. */
  readonly again: Readonly<Record<string, Facts>>;
  /** What each has kept. */
  readonly words: Readonly<Record<string, string>>;
  /** `virt-sandbox-service status` of the one that had to be killed. */
  readonly killed: string;
  readonly end: true;
}

function tell<Name extends keyof Parts>(name: Name, value: Parts[Name]): void {
  process.stderr.write(`${Math.round(performance.now() / 1000)} s: ${name} ${JSON.stringify(value)}\n`);
  process.stdout.write(`${JSON.stringify({ [name]: value })}\n`);
}

function service(...words: readonly string[]): string {
  return execFileSync(PROGRAM, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

async function allActive(names: readonly string[]): Promise<Readonly<Record<string, Facts>>> {
  const found: Record<string, Facts> = {};
  for (const name of names) {
    found[name] = await until(name, isActive);
    process.stderr.write(`${name} is ${found[name].ActiveState}\n`);
  }
  return found;
}

function libvirtd(): string {
  return systemctl('show', '--property=MainPID', '--value', 'libvirtd.service').trim();
}

/** systemd starts it again. */
async function killLibvirtd(): Promise<void> {
  const pid = libvirtd();
  const before = Object.fromEntries(SERVICES.map((name) => [name, facts(name)]));
  process.kill(Number(pid), 'SIGKILL');
  while (['0', pid].includes(libvirtd())) await sleep(LOOK_MS);
  systemctl('start', 'libvirtd.service');
  const said = service('execute', 'system', '--', 'cat', WORDS);
  const after = Object.fromEntries(SERVICES.map((name) => [name, facts(name)]));
  tell('killedDaemon', { before, after, said });
}

async function first(): Promise<void> {
  writeFileSync(SECOND, '');
  systemctl('start', '--no-block', unit(STUBBORN));
  tell('started', await allActive([...SERVICES, STUBBORN]));
  await killLibvirtd();
  systemctl('poweroff');
  for (;;) await sleep(60_000);
}

async function second(): Promise<void> {
  const lines = saidOf('systemd[1]: ').split('\n');
  tell(
    'shutdown',
    lines.map((line) => line.replace(/^.*systemd\[1\]: /, '')),
  );
  tell('again', await allActive(SERVICES));
  tell('words', Object.fromEntries(SERVICES.map((name) => [name, service('execute', name, '--', 'cat', WORDS)])));
  tell('killed', execFileSync('sh', ['-c', `${PROGRAM} status ${STUBBORN} || :`], { encoding: 'utf8' }));
  tell('end', true);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await (existsSync(SECOND) ? second() : first());
