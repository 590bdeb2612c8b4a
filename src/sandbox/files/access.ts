/** Runs programs of the init for files. */
import type { GuestConfig } from '../../../init/common/config.js';
import type { Channel } from '../../protocol/channel.js';
import { ProtocolError } from '../../protocol/fields.js';
import { Bytes } from '../../util/bytes.js';
import { unlessAborted } from '../../util/promises.js';
import type { Queue } from '../../util/queue.js';
import { type Builtin, type BuiltinOptions, startBuiltin } from '../process/builtin.js';
import { allowListeners } from '../process/process.js';
import { type FileAction, fileError } from './errors.js';
import type { FileOptions } from './types.js';

/** A sandbox, as {@link Files} has it. */
export interface FileAccess {
  readonly channel: Channel;
  readonly guest: GuestConfig;
  /** Of calls that end by themselves: the sandbox runs only so many processes at once. */
  readonly queue: Queue;
}

/** A program, and what errors call it. */
export interface FileProgram extends FileAction {
  readonly argv: readonly string[];
  /** Which of its words are paths. */
  readonly paths: readonly string[];
}

/**
 * Starts a program. A path that is not absolute begins at the working directory of the application, whoever the user is.
 * @throws as {@link startBuiltin}
 */
export function startFor(
  { channel, guest }: FileAccess,
  { argv, paths, action, path }: FileProgram,
  { user, signal }: FileOptions,
  killSignal?: BuiltinOptions['killSignal'],
): Promise<Builtin> {
  const isWhole = paths.every((each) => each.startsWith('/'));
  const own = user === undefined ? undefined : (guest.cwd ?? guest.identity.home);
  return startBuiltin(channel, guest, argv, `${action} ${path}`, {
    user,
    signal,
    killSignal,
    cwd: isWhole ? '/' : own,
  });
}

/**
 * Starts a program that ends by itself, when few enough of them run.
 * @throws as {@link startFor}
 */
export async function startInTurn(
  access: FileAccess,
  program: FileProgram,
  options: FileOptions,
  killSignal?: BuiltinOptions['killSignal'],
): Promise<Builtin> {
  const { queue } = access;
  if (options.signal) allowListeners(options.signal);
  await queue.enter(options.signal);
  const leave = () => queue.leave();
  try {
    const builtin = await startFor(access, program, options, killSignal);
    builtin.ended.then(leave, leave);
    return builtin;
  } catch (error) {
    leave();
    throw error;
  }
}

/**
 * Runs a program to its end.
 * @param take gets what it writes, and throws to end it
 * @throws {SandboxError} as {@link startBuiltin}, and of {@link fileError}
 * @throws the signal's reason if it aborts
 */
export async function runToEnd(
  access: FileAccess,
  program: FileProgram,
  options: FileOptions,
  take: (chunk: Buffer) => void = () => {
    throw new ProtocolError(`output of ${program.argv[0]}, which has none`);
  },
): Promise<void> {
  const builtin = await startInTurn(access, program, options);
  try {
    builtin.stdin.end();
    await unlessAborted(passOn(builtin, take), options.signal, (reason) => reason as Error);
  } catch (error) {
    void builtin.kill();
    throw fileError(error, program);
  }
}

/**
 * Runs a program to its end.
 * @param most how many bytes it may write
 * @param tooMuch the error for more
 * @returns what it wrote
 * @throws as {@link runToEnd}, and `tooMuch`
 */
export async function outputOf(
  access: FileAccess,
  program: FileProgram,
  options: FileOptions,
  most: number,
  tooMuch: () => Error,
): Promise<Buffer> {
  const bytes = new Bytes();
  await runToEnd(access, program, options, (chunk) => {
    if (bytes.length + chunk.length > most) throw tooMuch();
    bytes.add(chunk);
  });
  return bytes.take();
}

async function passOn(builtin: Builtin, take: (chunk: Buffer) => void): Promise<void> {
  for await (const chunk of builtin.stdout as AsyncIterable<Buffer>) take(chunk);
  await builtin.ended;
}
