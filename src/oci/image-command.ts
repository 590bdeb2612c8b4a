/** What an image runs, and with which environment: its config, and what the user says in place of parts of it. */
import { imageError } from '../oci-names/errors.js';
import type { ImageConfig } from './image-config.js';

/** As other engines have it for images that do not say. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface CommandChoice {
  /** `--entrypoint`: replaces the image's, and its command with it. Empty: there is none. */
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
  const first = entrypoint === undefined ? config.entrypoint : [entrypoint].filter((word) => word !== '');
  const whole = [...first, ...command];
  if (whole.length > 0 && whole[0] !== '') return whole;
  throw imageError('command-missing', `${which} names no command`, 'name one behind --');
}

export interface EnvironmentChoice {
  /** `-e NAME=VALUE`, or `-e NAME` for the caller's own value. */
  readonly given: readonly string[];
  readonly caller: NodeJS.ProcessEnv;
  /** Of the user that it runs as. */
  readonly home: string;
  /** It has a terminal. */
  readonly hasTerminal: boolean;
}

/** The environment as `NAME=VALUE`: the image's, then what is given. Each name once, the last value. */
export function imageEnvironment(config: ImageConfig, choice: EnvironmentChoice): readonly string[] {
  const values = new Map<string, string>([['PATH', PATH]]);
  if (choice.hasTerminal) values.set('TERM', choice.caller['TERM'] ?? 'xterm');
  values.set('HOME', choice.home);
  const set = (text: string, otherwise: string | undefined) => {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    const value = at < 0 ? otherwise : text.slice(at + 1);
    if (name !== '' && value !== undefined) values.set(name, value);
  };
  for (const text of config.environment) set(text, '');
  for (const text of choice.given) set(text, choice.caller[text]);
  return [...values].map(([name, value]) => `${name}=${value}`);
}
