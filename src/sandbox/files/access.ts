/** Runs programs of the init for files. */
import type { GuestConfig } from '../../../init/common/config.js';
import type { Channel } from '../../protocol/channel.js';
import { Bytes } from '../../util/bytes.js';
import { unlessAborted } from '../../util/promises.js';
import { type Builtin, type BuiltinOptions, startBuiltin } from '../process/builtin.js';
import { type FileAction, fileError } from './errors.js';
import type { FileOptions } from './types.js';

/** A sandbox, as {@link Files} has it. */
export interface FileAccess {
  readonly channel: Channel;
  readonly guest: GuestConfig;
}

/** A program, and what errors call it. */
export interface FileProgram extends FileAction {
  readonly argv: readonly string[];
}

/**
 * Starts a program. A path that is not absolute begins at the working directory of the application, whoever the user is.
 * @throws as {@link startBuiltin}
 */
export function startFor(
  { channel, guest }: FileAccess,
  { argv, action, path }: FileProgram,
  { user, signal }: FileOptions,
  killSignal?: BuiltinOptions['killSignal'],
): Promise<Builtin> {
  const isWhole = argv.slice(1).every((word) => word.startsWith('/') || /^\d+$/.test(word));
  const own = user === undefined ? undefined : (guest.cwd ?? guest.identity.home);
  return startBuiltin(channel, guest, argv, `${action} ${path}`, {
    user,
    signal,
    killSignal,
    cwd: isWhole ? '/' : own,
  });
}

/**
 * Runs a program to its end.
 * @param most how many bytes it may write
 * @param tooMuch the error for more
 * @returns what it wrote
 * @throws {SandboxError} as {@link startBuiltin}, of {@link fileError}, and `tooMuch`
 * @throws the signal's reason if it aborts
 */
export async function outputOf(
  access: FileAccess,
  program: FileProgram,
  options: FileOptions,
  most = 0,
  tooMuch: () => Error = () => new Error(`${program.argv[0]} writes nothing`),
): Promise<Buffer> {
  const builtin = await startFor(access, program, options);
  try {
    builtin.stdin.end();
    return await unlessAborted(collect(builtin, most, tooMuch), options.signal, (reason) => reason as Error);
  } catch (error) {
    void builtin.kill();
    throw fileError(error, program);
  }
}

async function collect(builtin: Builtin, most: number, tooMuch: () => Error): Promise<Buffer> {
  const bytes = new Bytes();
  for await (const chunk of builtin.stdout as AsyncIterable<Buffer>) {
    if (bytes.length + chunk.length > most) throw tooMuch();
    bytes.add(chunk);
  }
  await builtin.ended;
  return bytes.take();
}
