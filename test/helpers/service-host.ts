/**
 * Runs as a service of the systemd of a machine, which manages sandboxes as services. It prints one line of JSON for
 * each part, and guest/service-host-systemd.test.ts judges them.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Facts, facts, isActive, saidOf, startedAgain, systemctl, unit, until } from './host-systemctl.js';

/** The services: a command in a container, units in a machine, and one that cannot run. */
export const COMMAND = 'command';
export const SITE = 'site';
export const WRONG = 'wrong';

/** The unit that the machine runs, and this host too. */
export const HELLO = 'hello.service';

/** Where each service has a directory, which is its `/gate`. */
export const GATES = '/run/gates';

const PROGRAM = '/mnt/bin/virt-sandbox-service';

/** Where a service may have something: its directory and its record, and units with links to them. */
const PLACES = ['/etc/libvirt-sandbox/services', '/var/lib/libvirt-sandbox', '/etc/systemd/system', '/run/systemd'];

/** What `virt-sandbox-service` has said, and what systemd says of the unit then. */
export type Asked = Facts & { readonly status: number | null; readonly stderr: string };

export interface Parts {
  /** Before anything was started: the units, what wants them, and what the kernel's log has of the generator. */
  readonly generated: {
    readonly units: Readonly<Record<string, Facts>>;
    readonly wanted: string;
    readonly log: string;
  };
  /** Its program runs, and it is not healthy yet. */
  readonly starting: Facts;
  readonly ready: Facts;
  /** `virt-sandbox-service start`, which has started it. */
  readonly started: Asked;
  /** `systemctl reload` of a command. */
  readonly refused: { readonly status: number | null; readonly stderr: string };
  /** Its holder was killed. */
  readonly killed: Facts;
  readonly wrong: Facts;
  /** The target that wants it was started. */
  readonly site: Facts & { readonly processes: string; readonly limits: readonly string[]; readonly qemu: string };
  /** A unit of this host was reloaded: what systemd has run for that of the machine, and what the one inside has said. */
  readonly reloaded: { readonly run: string; readonly said: string };
  /** Its container was stopped, by SIGSTOP to what runs there. */
  readonly hung: Facts & { readonly log: string };
  /** `virt-sandbox-service restart`: what systemd had of it before, and what it has said. */
  readonly restarted: Asked & { readonly before: Facts; readonly log: string };
  /** `virt-sandbox-service stop`: what systemd has said besides, and what the command has. */
  readonly stopped: Asked & { readonly log: string; readonly said: string };
  /** `virt-sandbox-service delete` of the machine, which runs. */
  readonly deleted: Asked;
  /** What is there of all: sandboxes, what has the name of the machine, and its unit when systemd has looked again. */
  readonly left: {
    readonly sandboxes: readonly string[];
    readonly named: readonly string[];
    readonly unit: Facts;
    readonly wanted: string;
  };
  /** systemd is about to end. */
  readonly end: true;
}

function tell<Name extends keyof Parts>(name: Name, value: Parts[Name]): void {
  process.stderr.write(`${Math.round(performance.now() / 1000)} s: ${name} ${JSON.stringify(value)}\n`);
  process.stdout.write(`${JSON.stringify({ [name]: value })}\n`);
}

const gate = (name: string, file: string) => `${GATES}/${name}/${file}`;

/** The first process of the container, as this host has it. */
function containerProcess(): number {
  const controller = readFileSync(`/run/libvirt/lxc/${COMMAND}.pid`, 'utf8').trim();
  const [child = ''] = readFileSync(`/proc/${controller}/task/${controller}/children`, 'utf8').split(' ');
  // 0 would be this process and its group.
  assert.ok(Number(child) > 1, `the controller ${controller} has the child "${child}"`);
  return Number(child);
}

/** What the target that services are started with wants. */
const wanted = () => systemctl('show', '--property=Wants', '--value', 'multi-user.target');

/** What the holders of a service have said. */
const journal = (name: string) =>
  spawnSync('journalctl', ['--unit', unit(name), '--output=cat'], { encoding: 'utf8' }).stdout;

/** Has `virt-sandbox-service` start, restart, stop or delete a service. */
async function ask(verb: string, name: string): Promise<Asked> {
  return new Promise((resolve) => {
    const child = execFile(PROGRAM, [verb, name], (error, _, stderr) => {
      const why = error === null ? '' : journal(name);
      resolve({ status: child.exitCode, stderr: `${stderr}${why}`, ...facts(name) });
    });
  });
}

async function container(): Promise<Facts> {
  const start = ask('start', COMMAND);
  tell('starting', await until(COMMAND, () => existsSync(gate(COMMAND, 'begun'))));
  writeFileSync(gate(COMMAND, 'open'), '');
  const ready = await until(COMMAND, isActive);
  tell('ready', ready);
  tell('started', await start);
  const { status, stderr } = spawnSync('systemctl', ['reload', unit(COMMAND)], { encoding: 'utf8' });
  tell('refused', { status, stderr });
  process.kill(Number(ready.MainPID), 'SIGKILL');
  const killed = await startedAgain(COMMAND, ready);
  tell('killed', killed);
  return killed;
}

async function hung(killed: Facts): Promise<void> {
  process.kill(containerProcess(), 'SIGSTOP');
  const again = await startedAgain(COMMAND, killed);
  tell('hung', { ...again, log: saidOf(`${unit(COMMAND)}: `) });
}

async function wrong(): Promise<void> {
  systemctl('start', '--no-block', unit(WRONG));
  tell('wrong', await until(WRONG, ({ ActiveState }) => ActiveState === 'failed'));
}

/** The control group of the only QEMU. */
function qemu(): string {
  const pid = execFileSync('pgrep', ['qemu-system'], { encoding: 'utf8' }).trim();
  return readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim();
}

async function site(): Promise<void> {
  systemctl('start', HELLO);
  systemctl('start', '--no-block', 'multi-user.target');
  const now = await until(SITE, isActive);
  const group = systemctl('show', '--property=ControlGroup', '--value', unit(SITE)).trim();
  const processes = readFileSync(`/sys/fs/cgroup${group}/cgroup.procs`, 'utf8').trim().split('\n');
  const names = processes.map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
  const [limit, quota] = ['memory.max', 'cpu.max'].map((file) =>
    readFileSync(`/sys/fs/cgroup${group}/${file}`, 'utf8').trim(),
  );
  tell('site', { ...now, processes: names.join(' '), limits: [limit ?? '', quota ?? ''], qemu: qemu() });
  systemctl('reload', HELLO);
  const reload = () => systemctl('show', '--property=ExecReload', '--value', unit(SITE));
  await until(SITE, () => reload().includes('code=exited'));
  tell('reloaded', { run: reload(), said: readFileSync(gate(SITE, 'reloaded'), 'utf8') });
}

async function ended(): Promise<void> {
  const before = facts(COMMAND);
  tell('restarted', { ...(await ask('restart', COMMAND)), before, log: saidOf(`Stopping ${unit(COMMAND)}`) });
  tell('stopped', {
    ...(await ask('stop', COMMAND)),
    log: saidOf(`Stopping ${unit(COMMAND)}`),
    said: readFileSync(gate(COMMAND, 'ended'), 'utf8'),
  });
  tell('deleted', await ask('delete', SITE));
  systemctl('daemon-reload');
  const containers = execFileSync('virsh', ['-qc', 'lxc:///', 'list', '--name'], { encoding: 'utf8' }).trim();
  const named = PLACES.flatMap((place) => readdirSync(place, { recursive: true, encoding: 'utf8' }));
  tell('left', {
    sandboxes: [...readdirSync('/run/libvirt-sandbox'), containers].filter((name) => /^[^.]/.test(name)),
    named: named.filter((path) => basename(path).startsWith(SITE)),
    unit: facts(SITE),
    wanted: wanted(),
  });
}

async function main(): Promise<void> {
  for (const name of [COMMAND, SITE, WRONG]) mkdirSync(`${GATES}/${name}`);
  const units = Object.fromEntries([COMMAND, SITE, WRONG, 'broken'].map((name) => [name, facts(name)]));
  tell('generated', { units, wanted: wanted(), log: saidOf('virt-sandbox-service-generator: ') });
  // On a busy host it may take longer to begin than who asks it waits.
  systemctl('start', 'virtlogd.socket', 'libvirtd.service');
  const killed = await container();
  // What hangs takes long, and nothing of this host.
  await Promise.all([hung(killed), wrong().then(site)]);
  await ended();
  tell('end', true);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
