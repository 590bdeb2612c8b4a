/** Starts the programs of the init that read and make trees. */
import type { GuestConfig } from '../../../../init/common/config.js';
import type { Channel } from '../../../protocol/channel.js';
import { type Builtin, startBuiltin } from '../../process/builtin.js';
import type { CopyOptions } from './types.js';

/**
 * `unpack` removes what is unfinished at SIGTERM.
 * @param argv the program, the path inside, which begins at the working directory of the application if it is not
 *   absolute, and more
 * @throws as {@link startBuiltin}
 */
export function startTreeProgram(
  channel: Channel,
  guest: GuestConfig,
  argv: readonly [program: 'pack' | 'unpack', path: string, ...more: string[]],
  { user, signal }: CopyOptions,
): Promise<Builtin> {
  const [program, path] = argv;
  const own = user === undefined ? undefined : (guest.cwd ?? guest.identity.home);
  const what = `${program === 'pack' ? 'download' : 'upload to'} ${path}`;
  const cwd = path.startsWith('/') ? '/' : own;
  return startBuiltin(channel, guest, argv, what, { user, signal, killSignal: 'SIGTERM', cwd });
}
