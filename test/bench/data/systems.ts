/** The systems that run the rows, each from a boot of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Virtme } from '../../../src/bench/run/commands.js';
import { openInputPipe, openPipe } from '../../../src/bench/run/pipe.js';
import { valueOr } from '../../../src/util/errors.js';
import { settlesWithin } from '../../../src/util/promises.js';
import type { Measuring } from '../context.js';
import { runBareWork } from './bare.js';
import { MEMORY, MOST_SECONDS, sandboxOptions, TARGET, workCommand } from './inside.js';
import type { Streams } from './work.js';

/** `host`: without a machine. */
export const SYSTEM_NAMES = [
  'host',
  'ours-9p',
  'ours-virtiofs',
  'ours-always',
  'virtme-virtiofs',
  'virtme-9p',
  'bare-9p',
  'bare-virtiofs',
] as const;

export type SystemName = (typeof SYSTEM_NAMES)[number];

export interface System {
  readonly name: SystemName;
  readonly title: string;
  /**
   * Runs the program in a copy of the ground, until it has ended.
   * @param drive uses its streams
   * @param mostSeconds the system is ended then
   */
  run<Result>(directory: string, drive: (streams: Streams) => Promise<Result>, mostSeconds?: number): Promise<Result>;
}

/** A sandbox that is compared with others. */
export interface Own {
  readonly system: SystemName;
  readonly title: string;
  /** The bare QEMU with the same root, mounted with the same options. */
  readonly bare?: SystemName;
}

export const OWN: readonly Own[] = [
  { system: 'ours-9p', title: 'root over 9p', bare: 'bare-9p' },
  { system: 'ours-virtiofs', title: 'root over virtiofs', bare: 'bare-virtiofs' },
  { system: 'ours-always', title: '`--root-cache always`' },
];

const KEPT_ERRORS = 4096;

export function systemsOf(context: Measuring): System[] {
  const { virtme } = context;
  const ours = (rootFs: '9p' | 'virtiofs', rest: readonly string[] = []) => ({
    name: `ours-${rootFs}` as const,
    title: `virt-sandbox, root over ${rootFs}`,
    run: <Result>(directory: string, drive: (streams: Streams) => Promise<Result>, mostSeconds?: number) =>
      runProgram(
        [context.program, ...sandboxOptions(context, rootFs, directory), ...rest, '--', ...workCommand(TARGET, true)],
        drive,
        mostSeconds,
      ),
  });
  const bare = (rootFs: '9p' | 'virtiofs'): System => ({
    name: `bare-${rootFs}`,
    title: `bare QEMU, root over ${rootFs}`,
    run: (directory, drive, mostSeconds) => runBareWork(context, rootFs, directory, drive, mostSeconds),
  });
  const always: System = {
    ...ours('9p', ['--root-cache', 'always']),
    name: 'ours-always',
    title: 'virt-sandbox, 9p, `--root-cache always`',
  };
  const [virtmeVirtiofs, virtme9p] = 'missing' in virtme ? [[], []] : virtmeSystems(context, virtme);
  // Those that are compared run one after the other, while the host has the same other work. The slowest is the last.
  return [...[ours('virtiofs'), bare('virtiofs'), ...virtmeVirtiofs], ...[ours('9p'), bare('9p'), always, ...virtme9p]];
}

/** The host itself: what the rows must print, and how long they take without a machine. */
export const HOST: System = {
  name: 'host',
  title: 'this host',
  run: (directory, drive, mostSeconds) => runProgram(workCommand(directory, false), drive, mostSeconds),
};

/**
 * virtme-ng's two file systems. Over virtiofs, only its root can be written to; so it gets a view of the host whose root
 * file system is read-only but for the directory. /tmp and other mounted file systems are not.
 */
function virtmeSystems({ image }: Measuring, virtme: Exclude<Virtme, { missing: string }>): [System[], System[]] {
  const argv = [
    ...[virtme.program, '--run', virtme.kernel, '--memory', MEMORY, '--cpus', '1'],
    ...(image.acceleration === 'kvm' ? [] : ['--disable-kvm']),
  ];
  const command = ['--', ...workCommand(TARGET, true)];
  const view = [
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-ec'],
    `mount --bind "$1" ${TARGET}; mount --bind /tmp /tmp; mount -o remount,bind,ro /; shift; exec "$@"`,
    'sh',
  ];
  const virtiofs: System = {
    name: 'virtme-virtiofs',
    title: 'virtme-ng, virtiofs',
    run: (directory, drive, mostSeconds) =>
      runProgram([...view, directory, ...argv, '--rw', ...command], drive, mostSeconds),
  };
  const over9p: System = {
    name: 'virtme-9p',
    title: 'virtme-ng, 9p',
    run: (directory, drive, mostSeconds) =>
      runProgram([...argv, '--force-9p', `--rwdir=${TARGET}=${directory}`, ...command], drive, mostSeconds),
  };
  return [[virtiofs], [over9p]];
}

/** Runs a program of this host whose streams are those of the program that measures. */
async function runProgram<Result>(
  [program = '', ...words]: readonly string[],
  drive: (streams: Streams) => Promise<Result>,
  mostSeconds = MOST_SECONDS,
): Promise<Result> {
  const [stdin, stdout, stderr] = [openInputPipe(), openPipe(), openPipe()];
  const child = spawn(program, words, { stdio: [stdin.output, stdout.input, stderr.input], cwd: '/', detached: true });
  // virtme-ng's QEMU is not its child, but of its group.
  const end = () => void valueOr(() => process.kill(-(child.pid ?? 0), 'SIGTERM'), false);
  process.once('exit', end);
  for (const pipe of [stdin, stdout, stderr]) pipe.release();
  let errors = '';
  stderr.output.setEncoding('utf8').on('data', (text: string) => {
    errors = `${errors}${text}`.slice(-KEPT_ERRORS);
  });
  // It may end without reading all.
  stdin.input.on('error', () => {});
  const ended = once(child, 'exit');
  try {
    const work = drive({ stdin: stdin.input, stdout: stdout.output }).catch((error: Error) => {
      throw new Error(`${error.message}: ${errors.trimEnd().split('\n').slice(-3).join('\n')}`);
    });
    if (!(await settlesWithin(work, mostSeconds * 1000)))
      throw new Error(`${program} was not done within ${mostSeconds.toFixed(0)} s`);
    const result = await work;
    await ended;
    return result;
  } finally {
    if (child.exitCode === null && child.signalCode === null) end();
    await ended;
    process.off('exit', end);
    for (const stream of [stdin.input, stdout.output, stderr.output]) stream.destroy();
  }
}
