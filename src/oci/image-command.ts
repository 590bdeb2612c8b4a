/** What an image runs: its config, and what the user says in place of parts of it. */
import { imageError } from '../oci-names/errors.js';
import type { ImageConfig } from './image-config.js';

export interface CommandChoice {
  /** `--entrypoint`: replaces the image's, and its command with it. Empty: there is none, as in other engines. */
  readonly entrypoint?: string | undefined;
  /** Words behind `--`: replace the image's command, and are arguments of its entrypoint. */
  readonly words: readonly string[];
}

/**
 * The command and its arguments.
 * @param which names the image, for errors
 * @throws {SandboxError} `command-missing`: neither the image nor the user names one
 */
export function imageCommand(config: ImageConfig, choice: CommandChoice, which: string): readonly string[] {
  const { entrypoint, words } = choice;
  const command = words.length > 0 || entrypoint !== undefined ? words : config.command;
  const own = entrypoint === '' ? [] : [entrypoint ?? config.entrypoint].flat();
  const whole = [...own, ...command];
  if (whole.length > 0 && whole[0] !== '') return whole;
  throw imageError('command-missing', `${which} names no command`, 'name one behind --');
}
