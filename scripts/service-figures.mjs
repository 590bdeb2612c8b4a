// Prints what services cost on this host: node scripts/with-libvirt.mjs node scripts/service-figures.mjs
//
// Each figure is the median of three, with the least behind it: on a busy host that one says more. Machines are emulated.
// The programs are those of bin/, as `make build` has them. docs/decisions/0067 and 0068 have the figures.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const RUNS = 3;
const BIN = join(import.meta.dirname, '../bin');
const PROGRAM = join(BIN, 'virt-sandbox-service');
const SERVICES = '/etc/libvirt-sandbox/services';
const NAME = `figures-${process.pid}`;
/** It is on every host with systemd, and has nothing to wait for. */
const UNIT = ['-u', 'systemd-journald.service'];
const COMMAND = ['--', 'sleep', '1000'];

// A state in a directory needs a file system with extended attributes.
const states = mkdtempSync('/var/tmp/service-figures-');
// Boot images and snapshots: what somebody has baked would change how machines start.
const store = mkdtempSync(join(tmpdir(), 'service-figures-'));
// QEMU is another user.
chmodSync(store, 0o755);
const env = { ...process.env, XDG_CACHE_HOME: store };
const inLxc = (process.env.VIRT_SANDBOX_BENCH_LXC ?? '').split(' ').filter(Boolean);

function service(args, through = []) {
  const [program, ...words] = [...through, PROGRAM, ...args];
  return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env });
}

function bake(...options) {
  execFileSync(join(BIN, 'virt-sandbox-bake'), ['create', ...options], { stdio: ['ignore', 'pipe', 'pipe'], env });
}

function seconds(work) {
  const begun = performance.now();
  work();
  return (performance.now() - begun) / 1000;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function print(what, values, unit) {
  const text = (value) => value.toFixed(unit === 's' ? 2 : 0);
  process.stdout.write(`${what}: ${text(median(values))} ${unit}, least ${text(Math.min(...values))} ${unit}\n`);
}

/** When, on what, and beside how much. */
function printHost() {
  const osRelease = readFileSync('/etc/os-release', 'utf8');
  const [, system = 'Linux'] = /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease) ?? [];
  const facts = [
    `${availableParallelism()} processors (${cpus()[0]?.model})`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system,
    `Linux ${release()}`,
    `load ${loadavg()[0].toFixed(1)}`,
  ];
  process.stdout.write(`${new Date().toISOString().slice(0, 10)}: ${facts.join(', ')}\n`);
}

/** Makes a service for `work`, and removes it. @param what options, and a command */
function withService(what, work, through = []) {
  const [options, command] = what.includes('--') ? [what.slice(0, what.indexOf('--')), COMMAND] : [what, []];
  const make = () => service(['create', '-p', states, ...options, NAME, ...command], through);
  try {
    return work(make);
  } finally {
    for (const name of [`${NAME}-2`, NAME])
      if (readdirSync(SERVICES).includes(name)) service(['delete', name], through);
  }
}

function repeat(work) {
  return Array.from({ length: RUNS }, work);
}

function printStart(what, options, through = []) {
  const starts = repeat(() =>
    withService(
      options,
      (make) => {
        make();
        return seconds(() => service(['start', NAME], through));
      },
      through,
    ),
  );
  print(`start, ${what}`, starts, 's');
}

/** From a snapshot of its own, which serves no other service. */
function printWarmStart(options) {
  const starts = withService(options, (make) => {
    make();
    const file = join(SERVICES, NAME, 'config/sandbox.cfg');
    bake('--warm', '-c', 'qemu:///embed', '--for', `--config ${file}`);
    return repeat(() => {
      const time = seconds(() => service(['start', NAME]));
      const [{ sandbox }] = JSON.parse(service(['status', '--json', NAME]));
      if (sandbox.boot !== 'warm') throw new Error(`the start was ${sandbox.boot}`);
      service(['stop', '-t', '0', NAME]);
      return time;
    });
  });
  print('start, a command in a machine, warm', starts, 's');
}

try {
  printHost();
  bake();
  const emulated = ['-c', 'qemu:///embed', '--accel', 'tcg'];
  const machine = [...emulated, '--boot', 'cold'];
  print(
    'create',
    repeat(() => withService([...machine, ...COMMAND], (make) => seconds(make))),
    's',
  );
  const recorded = repeat(() =>
    withService([...machine, '-C', '-P', 'systemd', ...COMMAND], (make) => {
      const time = seconds(make);
      const directory = join(SERVICES, NAME);
      const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile());
      return [time, files.reduce((sum, { name }) => sum + statSync(join(directory, name)).size, 0) / 1000];
    }),
  );
  print(
    'create, with what its packages need',
    recorded.map(([time]) => time),
    's',
  );
  print(
    'the record of the host',
    recorded.map(([, size]) => size),
    'kB',
  );
  printStart('a command in a machine', [...machine, ...COMMAND]);
  printWarmStart([...emulated, ...COMMAND]);
  printStart('a unit in a machine', [...machine, ...UNIT]);
  if (inLxc.length > 0) {
    printStart('a command in a container', ['-c', 'lxc:///', ...COMMAND], inLxc);
    printStart('a unit in a container', ['-c', 'lxc:///', ...UNIT], inLxc);
  }
  for (const [what, options] of [
    ['a directory', []],
    ['an image', ['-i', '300']],
  ]) {
    const clones = repeat(() =>
      withService([...machine, ...options, ...COMMAND], (make) => {
        make();
        service(['start', NAME]);
        service(['execute', NAME, '--', 'sh', '-c', 'echo 1 > /etc/machine-id; sync']);
        let told = '';
        const time = seconds(() => {
          told = service(['clone', '--live', '--json', NAME, `${NAME}-2`]);
        });
        return [time, JSON.parse(told).standstillMs];
      }),
    );
    print(
      `clone of a machine that runs, with its state in ${what}`,
      clones.map(([time]) => time),
      's',
    );
    print(
      'its standstill',
      clones.map(([, standstill]) => standstill),
      'ms',
    );
  }
} finally {
  for (const directory of [states, store]) rmSync(directory, { recursive: true, force: true });
}
