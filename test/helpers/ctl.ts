/** Runs virt-sandbox-ctl beside sandboxes that are detached. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { valueOr } from '../../src/util/errors.js';
import { uniqueName } from './leftovers.js';
import { programOf } from './programs.js';
import { AtTerminal, type Size } from './pty.js';
import { PROGRAM, type Running, type RunOptions, type RunResult, runSandbox, startSandbox } from './run.js';

/** How the programs are run. `program` is virt-sandbox. */
export type How = Pick<RunOptions, 'env' | 'through' | 'program' | 'cwd'>;

function ctlOf<Options extends How>(options: Options): Options & { program: string } {
  return { ...options, program: `${options.program ?? PROGRAM}-ctl` };
}

/** Runs `virt-sandbox-ctl ARGS` to its end. */
export function ctl(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return runSandbox(args, ctlOf(options));
}

/** Starts `virt-sandbox-ctl ARGS`. */
export function startCtl(args: readonly string[], options: RunOptions = {}): Running {
  return startSandbox(args, ctlOf(options));
}

/** Waits until a process has a file open. */
export async function opens(pid: number, file: RegExp): Promise<void> {
  const isOpen = () =>
    readdirSync(`/proc/${pid}/fd`)
      .filter((fd) => Number(fd) > 2)
      .some((fd) => file.test(valueOr(() => readlinkSync(`/proc/${pid}/fd/${fd}`), '')));
  while (!isOpen()) await sleep(20);
}

/** Starts `virt-sandbox-ctl wait NAME`, and resolves when it has asked for the end, so that it sees it. */
export async function startWaiting(name: string, how: How = {}): Promise<Running> {
  const options = `${process.env['NODE_OPTIONS'] ?? ''} --import=${pathToFileURL(programOf('tell-waiting'))}`;
  const waiting = startCtl(['wait', name], { ...how, env: { ...how.env, NODE_OPTIONS: options } });
  while (readFileSync(`/proc/${waiting.pid}/comm`, 'latin1') !== 'waits\n') await sleep(20);
  return waiting;
}

/** Starts `virt-sandbox-ctl ARGS` at a terminal, and ends it after the test. */
export function ctlAtTerminal(t: TestContext, args: readonly string[], size: Size, how: How = {}): AtTerminal {
  const terminal = new AtTerminal(args, size, { ...ctlOf(how), env: { TERM: 'dumb', ...how.env } });
  t.after(() => terminal.close());
  return terminal;
}

/** What {@link ctl} runs with status 0 prints. */
export async function said(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, signal, out, stderr } = await ctl(args, options);
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' }, `${args.join(' ')}\n${out}`);
  return out;
}

/** Asserts that {@link ctl} fails: status 125, nothing on stdout, and on stderr one line with message and remedy. */
export async function fails(args: readonly string[], pattern: RegExp, options: RunOptions = {}): Promise<void> {
  const { code, out, stderr } = await ctl(args, options);
  assert.deepEqual({ code, out }, { code: 125, out: '' }, stderr);
  assert.match(stderr, /^virt-sandbox-ctl: [a-z]+: [^;\n]+; .+\n$/);
  assert.match(stderr, pattern);
}

/** Starts a detached sandbox, and ends it after the test. @returns its name */
export async function detached(t: TestContext, uri: string, wanted: Wanted = {}, how: How = {}): Promise<string> {
  const name = await startDetached(uri, wanted, how);
  t.after(() => endDetached(name, how));
  return name;
}

/** Starts a detached sandbox. @returns its name */
export async function startDetached(
  uri: string,
  { name = uniqueName(), options = [], command = [] }: Wanted = {},
  how: How = {},
): Promise<string> {
  const given = ['--detach', '-c', uri, '-n', name, ...options, ...(command.length === 0 ? [] : ['--', ...command])];
  const { code, out, stderr } = await runSandbox(given, how);
  assert.deepEqual({ code, out, stderr }, { code: 0, out: `${name}\n`, stderr: '' });
  return name;
}

/** Ends a detached sandbox, if it still runs. */
export async function endDetached(name: string, how: How = {}): Promise<void> {
  await ctl(['stop', '--ignore', '--time', '0', '--', name], how);
}

export interface Wanted {
  readonly name?: string;
  /** Of virt-sandbox. */
  readonly options?: readonly string[];
  /** None: it lives until it is stopped. */
  readonly command?: readonly string[];
}
