/** Runs the command line tool as a person or a script would, and keeps all that it says. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));
/** The program as it was built. */
export const PROGRAM = `${REPOSITORY}bin/virt-sandbox`;

/** What a run came to. */
export interface RunResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  /** The same as text. */
  readonly out: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What it reads from a pipe that is closed then; default: /dev/null. `open`: a pipe that stays open. */
  readonly input?: string | Buffer | 'open';
  /** Added to the environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** A command that runs the program: `['setpriv', …]`. */
  readonly through?: readonly string[];
  /** Default: the program as it was built. */
  readonly program?: string;
  /** In milliseconds. A loaded machine boots a guest in ten seconds, and may do two at once. */
  readonly timeout?: number;
}

const TIMEOUT = 120_000;

/** A run that goes on. */
export interface Running {
  readonly child: ChildProcess;
  /** Of the program itself, behind whatever it was run through. */
  readonly pid: number;
  /** So far. */
  readonly out: () => string;
  readonly stderr: () => string;
  /** Waits until that was written to stdout; fails when the program ends before. */
  readonly until: (pattern: RegExp) => Promise<RegExpExecArray>;
  /** The same for stderr. */
  readonly untilError: (pattern: RegExp) => Promise<RegExpExecArray>;
  readonly result: Promise<RunResult>;
}

/** The environment of the tests less what would change a run. */
export function environment(changes: RunOptions['env'] = {}): NodeJS.ProcessEnv {
  const {
    LIBVIRT_DEFAULT_URI: _uri,
    LIBVIRT_SANDBOX_INIT_DEBUG: _debug,
    LIBVIRT_SANDBOX_STRACE: _strace,
    ...inherited
  } = process.env;
  return Object.fromEntries(Object.entries({ ...inherited, ...changes }).filter(([, value]) => value !== undefined));
}

/** Starts `virt-sandbox ARGS`. */
export function startSandbox(args: readonly string[], options: RunOptions = {}): Running {
  const [command = '', ...rest] = [...(options.through ?? []), options.program ?? PROGRAM, ...args];
  const child = spawn(command, rest, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: environment(options.env),
    cwd: options.cwd,
  });
  const stdout: Buffer[] = [];
  let text = '';
  let stderr = '';
  const heard = { stdout: () => {}, stderr: () => {} };
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout.push(chunk);
    text = (text + chunk.toString('latin1')).slice(-65_536);
    heard.stdout();
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
    heard.stderr();
  });
  child.stdin?.on('error', () => {});
  if (options.input !== undefined && options.input !== 'open') child.stdin?.end(options.input);

  const timeout = options.timeout ?? TIMEOUT;
  const said = () => `stdout: ${text.slice(-2000)}\nstderr: ${stderr.slice(-2000)}`;
  const result = new Promise<RunResult>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
      reject(new Error(`virt-sandbox ${args.join(' ')} did not end within ${timeout / 1000} s\n${said()}`));
    }, timeout);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const all = Buffer.concat(stdout);
      resolve({ code, signal, stdout: all, out: all.toString('utf8'), stderr });
    });
  });
  // Who only looks at the output so far need not look at the end too.
  result.catch(() => {});
  const awaitIn = (stream: keyof typeof heard) => (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      heard[stream] = () => {
        const match = pattern.exec(stream === 'stdout' ? text : stderr);
        if (match) resolve(match);
      };
      heard[stream]();
      result.then(() => reject(new Error(`it ended without ${pattern}\n${said()}`)), reject);
    });
  const [until, untilError] = [awaitIn('stdout'), awaitIn('stderr')];
  return { child, pid: child.pid ?? 0, out: () => text, stderr: () => stderr, until, untilError, result };
}

/** Runs `virt-sandbox ARGS` to its end. */
export function runSandbox(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return startSandbox(args, options).result;
}

/** Expects exit status, stdout and stderr to be exactly these. */
export function assertRun(result: RunResult, code: number, out: string, stderr = ''): void {
  assert.deepEqual(
    { code: result.code, signal: result.signal, out: result.out, stderr: result.stderr },
    { code, signal: null, out, stderr },
  );
}

/**
 * Expects the failure of the sandbox itself: status 125 (or another), nothing on stdout, one line on stderr that names thing and remedy, and
 * under it nothing but the guest's last words.
 * @returns the line, without the program's name
 */
export function assertFailure(result: RunResult, ...patterns: readonly RegExp[]): string {
  return assertFailureWith(125, result, ...patterns);
}

export function assertFailureWith(code: number, result: RunResult, ...patterns: readonly RegExp[]): string {
  const [line = '', ...rest] = result.stderr.replace(/\n$/, '').split('\n');
  const told = `exit ${result.code} ${result.signal ?? ''}\n${result.stderr}`;
  assert.match(line, /^virt-sandbox: [a-z]+: [^;]+.*; .+$/, told);
  for (const pattern of patterns) assert.match(line, pattern, told);
  const strangers = rest.filter((text) => !text.startsWith('  guest: '));
  assert.deepEqual(strangers, [], told);
  assert.equal(result.code, code, told);
  assert.equal(result.out, '', told);
  return line.slice('virt-sandbox: '.length);
}
