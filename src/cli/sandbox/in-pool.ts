/** `--pool`: runs the command in a sandbox that waits in a pool. It imports no more than that needs. */

import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { checkName } from '../../config/name.js';
import { environmentRecord, parseEnv } from '../../config/parsers/env.js';
import { parsePublish } from '../../config/parsers/publish.js';
import { type ConnectedSandbox, connectSandbox } from '../../control/connect.js';
import { type ConnectedPool, connectPool } from '../../control/pool/connect.js';
import { shortCommand, type Taken } from '../../control/pool/requests.js';
import type { SandboxProcess } from '../../sandbox/process/process.js';
import type { ProcessExit, SpawnOptions } from '../../sandbox/process/types.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { refuseRaw } from '../argv.js';
import { checkVariablesWithPool } from '../pool-variables.js';
import { programName } from '../program-name.js';
import { type Arguments, checkWithPool } from '../sandbox-arguments.js';
import { cancelOnSignal } from '../terminal/cancel-on-signal.js';
import { localTerminal } from '../terminal/forward.js';
import { print } from '../terminal/output.js';
import { usageError } from '../usage-error.js';
import { type Supervised, supervise } from './supervise.js';
import { timeLimitOf } from './wishes.js';

/** @returns the exit status for this process */
export async function runInPool(poolName: string, args: Arguments): Promise<number> {
  checkWithPool(args);
  checkVariablesWithPool(process.env);
  const { command, detach = false } = args;
  if (command.length === 0 && !detach) throw usageError('--pool lacks the COMMAND', 'virt-sandbox');
  if (args.name !== undefined) checkName(args.name);
  const tty = !detach && isatty(0) && isatty(1);
  const options = spawnOptions(args, tty);
  const publish = (args.publish ?? []).map(parsePublish);
  const start = cancelOnSignal();
  const cancelled = () => (start.signal === undefined ? undefined : 128 + constants.signals[start.signal]);
  let pool: ConnectedPool | undefined;
  try {
    pool = await connectPool(poolName, start.abort);
    const leave = () => void pool?.close();
    start.abort.addEventListener('abort', leave, { once: true });
    const taken = await pool.take({
      ...(args.name === undefined ? {} : { name: args.name }),
      command: shortCommand(command),
      detached: detach,
      publish: publish.map(({ address, hostPort, guestPort }) => ({ host: address, hostPort, guestPort })),
    });
    if (args.verbose || args.debug) say(`the sandbox ${taken.name} was taken of the pool ${poolName}`);
    for (const [at, { hostPort, guestPort }] of publish.entries())
      if (hostPort === 0 || args.verbose) say(`port ${guestPort} is at ${taken.published[at]}`);
    const sandbox = await connectSandbox(taken.name, { signal: start.abort, keep: detach, uuid: taken.uuid });
    const process = command.length === 0 ? undefined : await sandbox.startApplication(command, options);
    if (detach || process === undefined) return cancelled() ?? (await leaveRunning(pool, sandbox, taken, process));
    const onSignals = () => {
      start.abort.removeEventListener('abort', leave);
      start.release();
    };
    return await supervise(new PooledCommand(pool, sandbox, process), { tty, traced: false, onSignals });
  } catch (error) {
    const status = cancelled();
    if (status !== undefined) return status;
    throw error;
  } finally {
    start.release();
    await pool?.close();
  }
}

/** Prints the name, and lets the sandbox live on. */
async function leaveRunning(
  pool: ConnectedPool,
  sandbox: ConnectedSandbox,
  taken: Taken,
  process: SandboxProcess | undefined,
): Promise<number> {
  process?.stdin.end();
  await print(`${taken.name}\n`);
  await pool.keep();
  await sandbox.close();
  return 0;
}

/** @throws {SandboxError} `duration-invalid`, `env-key-missing`, `env-value-missing`, `not-utf8` */
function spawnOptions(args: Arguments, tty: boolean): SpawnOptions {
  const { env = [], cwd, switchto, command } = args;
  for (const text of env) refuseRaw(text, 'the value of --env,');
  const timeout = timeLimitOf(args);
  if (timeout !== undefined && command.length === 0)
    throw usageError('--timeout is for a command, and there is none', 'virt-sandbox');
  return {
    env: environmentRecord(env.map(parseEnv)),
    ...(cwd === undefined ? {} : { cwd }),
    ...(switchto === undefined ? {} : { user: switchto }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(tty ? { tty: localTerminal() } : {}),
  };
}

function say(sentence: string): void {
  process.stderr.write(`${programName()}: ${oneLine(sentence)}\n`);
}

/** The command as the application of its sandbox, which ends with it. */
class PooledCommand implements Supervised {
  readonly name: string;
  readonly stdin: SandboxProcess['stdin'];
  readonly stdout: SandboxProcess['stdout'];
  readonly stderr: SandboxProcess['stderr'];
  readonly exited: Promise<ProcessExit>;
  readonly ending: Promise<unknown>;
  readonly #pool: ConnectedPool;
  readonly #process: SandboxProcess;

  constructor(pool: ConnectedPool, sandbox: ConnectedSandbox, process: SandboxProcess) {
    this.#pool = pool;
    this.#process = process;
    this.name = sandbox.name;
    this.stdin = process.stdin;
    this.stdout = process.stdout;
    this.stderr = process.stderr;
    this.exited = endOf(sandbox, process);
    this.exited.catch(() => {});
    this.ending = process.exited.then(
      () => {},
      () => {},
    );
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    await this.#process.kill(signal);
  }

  async resize(rows: number, columns: number): Promise<void> {
    await this.#process.resize(rows, columns);
  }

  /** The end of the connection to the pool ends the sandbox. */
  async stop(): Promise<void> {
    await this.#pool.close();
  }
}

/**
 * Waits for the end of the command, and then until nothing of the sandbox is left.
 * @throws {SandboxError} what the sandbox ended with; what the process did, where its holder is gone
 */
export async function endOf(
  sandbox: Pick<ConnectedSandbox, 'wait'>,
  process: Pick<SandboxProcess, 'exited'>,
): Promise<ProcessExit> {
  const failing = sandbox.wait().then(
    () => undefined,
    (error: unknown) => error,
  );
  try {
    const exit = await process.exited;
    await failing;
    return exit;
  } catch (error) {
    const failure = await failing;
    const isTold = failure instanceof SandboxError && !UNTOLD.includes(failure.code);
    throw isTold ? failure : error;
  }
}

/** What is known by these is that nobody answers. */
const UNTOLD: readonly string[] = ['sandbox-ended', 'control-failed'];
