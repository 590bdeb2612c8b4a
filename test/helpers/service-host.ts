/**
 * Runs as a service of the systemd of a machine, which manages sandboxes as services. It prints one line of JSON for
 * each part, and guest/service-host-systemd.test.ts judges them.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
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
  /** `systemctl reload` of a command. */
  readonly refused: { readonly status: number | null; readonly stderr: string };
  /** Its holder was killed. */
  readonly killed: Facts;
  /** Its container was stopped, by SIGSTOP to what runs there. */
  readonly hung: Facts & { readonly log: string };
  readonly stopped: Facts & { readonly said: string; readonly left: readonly string[] };
  readonly wrong: Facts;
  /** The target that wants it was started. */
  readonly site: Facts & { readonly processes: string; readonly limits: readonly string[]; readonly qemu: string };
  /** A unit of this host was reloaded: what systemd has run for that of the machine. */
  readonly reloaded: string;
  /** systemd is about to end, with the machine running. */
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

async function container(): Promise<void> {
  systemctl('start', '--no-block', unit(COMMAND));
  tell('starting', await until(COMMAND, () => existsSync(gate(COMMAND, 'begun'))));
  writeFileSync(gate(COMMAND, 'open'), '');
  const ready = await until(COMMAND, isActive);
  tell('ready', ready);
  const { status, stderr } = spawnSync('systemctl', ['reload', unit(COMMAND)], { encoding: 'utf8' });
  tell('refused', { status, stderr });
  process.kill(Number(ready.MainPID), 'SIGKILL');
  const killed = await startedAgain(COMMAND, ready);
  tell('killed', killed);
  process.kill(containerProcess(), 'SIGSTOP');
  tell('hung', {
    ...(await startedAgain(COMMAND, killed)),
    log: saidOf(`${unit(COMMAND)}: `),
  });
  systemctl('stop', unit(COMMAND));
  const left = [
    ...readdirSync('/run/libvirt-sandbox'),
    execFileSync('virsh', ['-qc', 'lxc:///', 'list', '--name'], { encoding: 'utf8' }).trim(),
  ];
  tell('stopped', {
    ...facts(COMMAND),
    said: readFileSync(gate(COMMAND, 'ended'), 'utf8'),
    left: left.filter((name) => /^[^.]/.test(name)),
  });
}

async function wrong(): Promise<void> {
  spawnSync('systemctl', ['start', unit(WRONG)]);
  tell('wrong', await until(WRONG, ({ ActiveState }) => ActiveState !== 'activating'));
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
  tell('reloaded', reload());
}

async function main(): Promise<void> {
  for (const name of [COMMAND, SITE, WRONG]) mkdirSync(`${GATES}/${name}`);
  const units = Object.fromEntries([COMMAND, SITE, WRONG, 'broken'].map((name) => [name, facts(name)]));
  const wanted = systemctl('show', '--property=Wants', '--value', 'multi-user.target');
  tell('generated', { units, wanted, log: saidOf('virt-sandbox-service-generator: ') });
  systemctl('start', 'virtlogd.socket', 'libvirtd.socket');
  await container();
  await wrong();
  await site();
  tell('end', true);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
