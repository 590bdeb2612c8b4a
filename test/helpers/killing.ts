/** Programs that are killed at one of their system calls. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { unlessProgram } from './images.js';
import { countsIn, killAtWords, unlessKillAt } from './killing/kill-at.js';
import type { RunResult } from './run.js';

/** A reason to skip, or false if processes can be traced here. */
export function unlessTraced(): string | false {
  return unlessProgram('strace') || unlessKillAt();
}

/** As `make test THOROUGH=1` has it: no step is left out. */
export const IS_THOROUGH = process.env['TEST_THOROUGH'] === '1';

/** Calls that remove files and directories: which of them Node.js makes depends on its version. */
export const REMOVING: readonly string[] = ['unlink', 'rmdir', 'unlinkat'];

/**
 * Calls of which one stands in for another: by the file system, and by the versions of Node.js and of other programs.
 */
const ALTERNATIVES: readonly (readonly string[])[] = [
  REMOVING,
  ['link', 'linkat'],
  ['copy_file_range', 'sendfile', 'ioctl'],
];

/**
 * Calls that change what is on a disk, or mounted, or tell other processes something. Not among them is what is written to
 * files: it counts once a sync or a rename has followed.
 */
const CHANGING: readonly string[] = [
  ...['mkdir', 'mkdirat', 'rename', 'renameat2', 'link', 'linkat', 'symlink', 'symlinkat', ...REMOVING],
  ...['fsync', 'fdatasync', 'syncfs', 'ftruncate', 'fallocate', 'copy_file_range', 'sendfile', 'ioctl'],
  ...['chmod', 'fchmod', 'fchmodat', 'chown', 'fchown', 'fchownat', 'lchown', 'utimensat'],
  ...['setxattr', 'lsetxattr', 'fsetxattr', 'mount', 'move_mount', 'umount2'],
  ...['connect', 'flock', 'kill', 'pidfd_send_signal', 'shutdown'],
];

/** Where the tests are thorough: all other calls that change something, whether anything makes them or not. */
export function othersThan(calls: readonly string[]): string[] {
  return IS_THOROUGH ? CHANGING.filter((call) => !calls.includes(call)) : [];
}

/** The call, and those that may stand in for it. */
function groupOf(call: string): readonly string[] {
  return ALTERNATIVES.find((group) => group.includes(call)) ?? [call];
}

/** The same for many. */
export function withAlternatives(calls: readonly string[]): string[] {
  return [...new Set(calls.flatMap(groupOf))];
}

/** The `when`-th time that a system call is made, by any of the threads that count. */
export interface Step {
  readonly call: string;
  readonly when: number;
}

/** Whose calls count. */
export interface Tracing {
  /** The program's, and of none that it starts; else those of all. */
  readonly isAlone?: boolean;
  /** A file for the calls of one run; undefined: nobody looks at them. */
  readonly log?: string | undefined;
}

/** One thread of Node.js works on files, so steps have an order. */
const ORDERED = ['env', 'UV_THREADPOOL_SIZE=1'];

/** A state directory of a sandbox gets its name so. */
const NAMING = ['rename'];

/** The words in front of a command. It is killed, or a process that it has started, at that step. */
export function killedAt({ call, when }: Step, tracing: Tracing = {}): string[] {
  return [...ORDERED, ...killAtWords({ ...tracing, calls: [call], logged: NAMING, when })];
}

/** The words in front of a command for which nothing is killed. With {@link othersThan} these calls. */
export function tracedFor(calls: readonly string[], tracing: Tracing): string[] {
  const traced = [...withAlternatives(calls), ...othersThan(withAlternatives(calls))];
  return [...ORDERED, ...killAtWords({ ...tracing, calls: traced, logged: NAMING })];
}

/** Sandboxes that a program has made which was traced. */
export function sandboxesIn(log: string): string[] {
  const names = readFileSync(log, 'latin1').matchAll(/"\/run\/libvirt-sandbox\/(sandbox-[0-9a-f]+)"/g);
  return [...new Set(Array.from(names, ([, name = '']) => name))];
}

/**
 * The first step of each call and the last. Where nothing makes a call, they are of one that stands in for it. Where the
 * tests are thorough: all steps, of other calls that change something, too.
 * @param log of a run that was traced
 */
export function someSteps(calls: readonly string[], log: string): Step[] {
  const counts = countsIn(log);
  const steps = (call: string): Step[] => {
    const count = counts.get(call) ?? 0;
    const all = Array.from({ length: count }, (_, at) => ({ call, when: at + 1 }));
    return IS_THOROUGH ? all : all.filter((_, at) => at === 0 || at === count - 1);
  };
  const found = calls.map(
    (call) => [call, ...groupOf(call)].find((one) => counts.has(one)) ?? assert.fail(`nothing calls ${call}`),
  );
  return [...new Set([...found, ...othersThan(found)])].flatMap(steps);
}

/** Each of these processes at one of the steps; at each of them where the tests are thorough. */
export function eachAt(
  whos: readonly string[],
  steps: readonly Step[],
): { readonly who: string; readonly step: Step }[] {
  assert.ok(steps.length > 0, 'there are no steps');
  return whos.flatMap((who, at) =>
    steps.filter((_, number) => IS_THOROUGH || number === at % steps.length).map((step) => ({ who, step })),
  );
}

/** More than any program makes of one call. */
const MOST_STEPS = 300;

/** Makes steps 1, 2, 3, 5, 8, 13, … */
const GROWTH = 1.6;

/** The step to try next: the one after it, or one further and further away. */
function nextStep(when: number): number {
  return IS_THOROUGH ? when + 1 : Math.max(when + 1, Math.round(when * GROWTH));
}

/**
 * Every step until there are no more; where the tests are not thorough, only some of those behind the third. Where a
 * call has none, those of the calls that stand in for it are tried.
 * @param run runs a program to be killed at a step; true: there was such a step
 * @returns the calls that have steps
 */
export async function atEveryStep(calls: readonly string[], run: (step: Step) => Promise<boolean>): Promise<string[]> {
  const killed = new Set<string>();
  const hasSteps = async (call: string) => {
    for (let when = 1; await run({ call, when }); when = nextStep(when)) {
      assert.ok(when < MOST_STEPS, `${call} has no end`);
      killed.add(call);
    }
    return killed.has(call);
  };
  for (const call of calls) {
    if (await hasSteps(call)) continue;
    for (const other of groupOf(call))
      if (!calls.includes(other) && (killed.has(other) || (await hasSteps(other)))) break;
  }
  return [...killed];
}

/**
 * Asserts that something was killed at each call, or at one that stands in for it.
 * @param killed at which it was: what {@link atEveryStep} returns
 */
export function assertKilledAt(killed: Iterable<string>, calls: readonly string[]): void {
  const found = new Set(killed);
  const missing = calls.filter((call) => !groupOf(call).some((one) => found.has(one)));
  assert.deepEqual(missing, [], `calls at which something was killed: ${[...found].join()}`);
}

/** How a program has ended. */
export type Ended = Pick<RunResult, 'code' | 'signal' | 'stderr'>;

/** The statuses of a program that fails. */
const FAILED: readonly (number | null)[] = [1, 125];

/** A program was killed, or one that it had started, or none. @returns false: none, and it has succeeded */
export function isKilled({ code, signal, stderr }: Ended): boolean {
  assert.ok(signal === 'SIGKILL' || [0, 1, 125, 137].includes(code ?? -1), `${signal ?? code} ${stderr}`);
  return code !== 0;
}

/** A service that is made, by a program that is killed. */
export interface Making {
  /** Makes it. @param through words in front of the program */
  run(through: readonly string[]): Promise<Ended>;
  /** Whether it is there. Then it is whole. @param step for errors */
  isThere(step: string): boolean | Promise<boolean>;
  remove(): Promise<unknown>;
  /** What is there of it. */
  left(): readonly string[];
}

/**
 * Asserts that a program which was killed has made all or nothing, that the next one makes what is missing, and that
 * nothing is left once it is removed.
 * @param step for errors
 * @returns as {@link isKilled}
 */
export async function assertMadeAfter(making: Making, step: string, ended: Ended): Promise<boolean> {
  const text = `${step}: ${ended.signal ?? ended.code} ${ended.stderr}`;
  const wasKilled = isKilled(ended);
  // One that was not killed itself has cleaned up, before anything else does.
  if (FAILED.includes(ended.code)) assert.deepEqual(making.left(), [], text);
  if (!(await making.isThere(text))) {
    assert.ok(wasKilled, text);
    const { code, stderr } = await making.run([]);
    assert.equal(code, 0, `${text}: ${stderr}`);
    assert.ok(await making.isThere(text), text);
  }
  await making.remove();
  assert.deepEqual(making.left(), [], text);
  return wasKilled;
}

/** Has it killed at every step of these calls. @returns those that have steps */
export function assertMadeAtEveryStep(calls: readonly string[], making: Making): Promise<string[]> {
  return atEveryStep(calls, async (step) =>
    assertMadeAfter(making, `${step.call} ${step.when}`, await making.run(killedAt(step))),
  );
}
