// Prints what services cost on this host, as medians of three: node scripts/with-libvirt.mjs node scripts/service-figures.mjs
//
// The programs are those of bin/, as `make build` has them. docs/decisions/0067 and 0068 have the figures.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const RUNS = 3;
const PROGRAM = join(import.meta.dirname, '../bin/virt-sandbox-service');
const SERVICES = '/etc/libvirt-sandbox/services';
const NAME = `figures-${process.pid}`;
/** It is on every host with systemd, and has nothing to wait for. */
const UNIT = ['-u', 'systemd-journald.service'];
const COMMAND = ['--', 'sleep', '1000'];

// A state in a directory needs a file system with extended attributes.
const states = mkdtempSync('/var/tmp/service-figures-');
const inLxc = (process.env.VIRT_SANDBOX_BENCH_LXC ?? '').split(' ').filter(Boolean);

function service(args, through = []) {
  const [program, ...words] = [...through, PROGRAM, ...args];
  return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
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
  process.stdout.write(`${what}: ${median(values).toFixed(unit === 's' ? 2 : 0)} ${unit}\n`);
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

try {
  const machine = ['-c', 'qemu:///embed', '--boot', 'cold'];
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
  rmSync(states, { recursive: true, force: true });
}
