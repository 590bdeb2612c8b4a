/** Runs virt-sandbox as a person or a script would, and keeps its output. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { withoutFallback } from './fallback.js';

/** The directory of the repository, with a slash at its end. */
export const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));
/** The program in the repository. */
export const PROGRAM = `${REPOSITORY}bin/virt-sandbox`;
export const SERVICE_PROGRAM = `${PROGRAM}-service`;

export interface RunResult {
  /** null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  /** stdout as text. */
  readonly out: string;
  /** Without the lines that depend on the host: that KVM is not used, and that the guest's clock may be late. */
  readonly stderr: string;
  /** The line about KVM, if there is one. */
  readonly fallback: string | undefined;
  /** By how much the guest's clock may be late, as the line about it says, in milliseconds; 0 without that line. */
  readonly late: number;
}

export interface RunOptions {
  /** Standard input: a pipe with this content, or `open`, a pipe that stays open. Default: /dev/null. */
  readonly input?: string | Buffer | 'open';
  /** Changes of the environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** A command that runs the program, such as `['setpriv', …]`. */
  readonly through?: readonly string[];
  /** Default: {@link PROGRAM}. */
  readonly program?: string;
  /** In milliseconds; default {@link TIMEOUT}. */
  readonly timeout?: number;
}

/** In milliseconds. A loaded machine boots a guest in ten seconds, and may boot two at once. */
const TIMEOUT = 120_000;

/** A run that has not ended yet. */
export interface Running {
  readonly child: ChildProcess;
  /** Of the program itself: `through` must exec it. */
  readonly pid: number;
  /** Output so far: the last 64 KiB. */
  readonly out: () => string;
  readonly stderr: () => string;
  /** Waits for the pattern on stdout; rejects if the program ends without it. */
  readonly until: (pattern: RegExp) => Promise<RegExpExecArray>;
  /** Waits for the pattern on stderr. */
  readonly untilError: (pattern: RegExp) => Promise<RegExpExecArray>;
  readonly result: Promise<RunResult>;
}

/** The environment of the tests without the variables that would change a run. */
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
  const onOutput = { stdout: () => {}, stderr: () => {} };
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout.push(chunk);
    text = (text + chunk.toString('latin1')).slice(-65_536);
    onOutput.stdout();
  });
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
    onOutput.stderr();
  });
  child.stdin?.on('error', () => {});
  if (options.input !== undefined && options.input !== 'open') child.stdin?.end(options.input);

  const told = () => withoutFallback(stderr).text;
  const timeout = options.timeout ?? TIMEOUT;
  const outputSoFar = () => `stdout: ${text.slice(-2000)}\nstderr: ${told().slice(-2000)}`;
  const result = new Promise<RunResult>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
      reject(new Error(`virt-sandbox ${args.join(' ')} did not end within ${timeout / 1000} s\n${outputSoFar()}`));
    }, timeout);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const all = Buffer.concat(stdout);
      const { text: rest, ...told } = withoutFallback(stderr);
      resolve({ code, signal, stdout: all, out: all.toString('utf8'), stderr: rest, ...told });
    });
  });
  // Callers may ignore this promise.
  result.catch(() => {});
  const awaitIn = (stream: keyof typeof onOutput) => (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      onOutput[stream] = () => {
        const match = pattern.exec(stream === 'stdout' ? text : told());
        if (match) resolve(match);
      };
      onOutput[stream]();
      result.then(() => reject(new Error(`it ended without ${pattern}\n${outputSoFar()}`)), reject);
    });
  const [until, untilError] = [awaitIn('stdout'), awaitIn('stderr')];
  return { child, pid: child.pid ?? 0, out: () => text, stderr: told, until, untilError, result };
}

/** Runs `virt-sandbox ARGS` to its end. */
export function runSandbox(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return startSandbox(args, options).result;
}

/** Asserts exit status, stdout and stderr. */
export function assertRun(result: RunResult, code: number, out: string, stderr = ''): void {
  assert.deepEqual(
    { code: result.code, signal: result.signal, out: result.out, stderr: result.stderr },
    { code, signal: null, out, stderr },
  );
}

/**
 * Asserts that the sandbox itself failed: status 125, nothing on stdout, and on stderr one line with message and
 * remedy. Only the guest's last console lines may follow.
 * @returns the line, without the program's name
 */
export function assertFailure(result: RunResult, ...patterns: readonly RegExp[]): string {
  return assertFailureWith(125, result, ...patterns);
}

/** {@link assertFailure} with another exit status. */
export function assertFailureWith(code: number, result: RunResult, ...patterns: readonly RegExp[]): string {
  const [line = '', ...rest] = result.stderr.replace(/\n$/, '').split('\n');
  const output = `exit ${result.code} ${result.signal ?? ''}\n${result.stderr}`;
  assert.match(line, /^virt-sandbox: [a-z]+: [^;]+.*; .+$/, output);
  for (const pattern of patterns) assert.match(line, pattern, output);
  const unexpected = rest.filter((text) => !text.startsWith('  guest: '));
  assert.deepEqual(unexpected, [], output);
  assert.equal(result.code, code, output);
  assert.equal(result.out, '', output);
  return line.slice('virt-sandbox: '.length);
}
