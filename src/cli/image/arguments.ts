/** The command line of virt-sandbox-image, parsed. */
import { hostPath } from '../../config/path.js';
import type { RegistryOptions } from '../../oci/registry/options.js';
import { type Platform, parsePlatform, platformText } from '../../oci-names/platform.js';
import { readCommandLine } from '../command-line.js';
import { type CommandArguments, type CommandEntry, textOf, wordsProblem } from '../command-table.js';
import { options as sandboxOptions } from '../sandbox-options.js';
import { usageError as usageErrorOf } from '../usage-error.js';
import { type ImageCommandName, imageCommands, OTHER_NAMES } from './options.js';

export { isSet, textOf } from '../command-table.js';

export const PROGRAM = 'virt-sandbox-image';

export type ImageArguments = CommandArguments;

export type ImageRequest =
  | { readonly command: ImageCommandName; readonly args: ImageArguments }
  /** `of`: a command; undefined: the program. */
  | { readonly asks: 'help' | 'version'; readonly of: ImageCommandName | undefined };

/** @throws {SandboxError} `usage` */
export function parseImageArguments(argv: readonly string[]): ImageRequest {
  const { asks, rest } = readCommandLine(argv, {}, PROGRAM);
  if (asks !== undefined) return { asks, of: undefined };
  const [word, ...own] = rest;
  if (word === undefined) throw usageError('no command was given');
  const name = commandCalled(word);
  const entry: CommandEntry = imageCommands[name];
  // Those of virt-sandbox first: what both have is meant for the image.
  const table = entry.runs ? { ...sandboxOptions, ...entry.options } : entry.options;
  const read = readCommandLine(own, table, `${PROGRAM} ${name}`, { anywhere: !entry.runs });
  if (read.asks !== undefined) return { asks: read.asks, of: name };
  const problem = wordsProblem(name, entry, read.rest);
  if (problem !== undefined) throw usageError(problem, name);
  return { command: name, args: { values: read.values, words: read.rest } };
}

function commandCalled(word: string): ImageCommandName {
  if (isCommand(word)) return word;
  const other = Object.hasOwn(OTHER_NAMES, word) ? OTHER_NAMES[word] : undefined;
  if (other !== undefined) return other;
  throw usageError(`there is no command ${JSON.stringify(word)}`);
}

function isCommand(word: string): word is ImageCommandName {
  return Object.hasOwn(imageCommands, word);
}

/** @param command whose help is to be read */
export function usageError(message: string, command?: ImageCommandName) {
  return usageErrorOf(message, command === undefined ? PROGRAM : `${PROGRAM} ${command}`);
}

/**
 * `--platform`
 * @throws {SandboxError} `platform-invalid`
 */
export function platformOf(args: ImageArguments): Platform | undefined {
  const text = textOf(args, 'platform');
  return text === undefined ? undefined : parsePlatform(text);
}

/** The same as the store has it. */
export function platformName(args: ImageArguments): string | undefined {
  const platform = platformOf(args);
  return platform === undefined ? undefined : platformText(platform);
}

/**
 * `--authfile` and `--tls-verify`
 * @throws {SandboxError} `usage`, and what a path throws
 */
export function registryOf(args: ImageArguments, command: ImageCommandName): RegistryOptions {
  const file = textOf(args, 'authfile');
  const verify = textOf(args, 'tls-verify') ?? 'true';
  if (verify !== 'true' && verify !== 'false')
    throw usageError(`--tls-verify=${verify} is neither true nor false`, command);
  return {
    authFile: file === undefined ? undefined : hostPath(file, '--authfile'),
    tlsVerify: verify !== 'false',
  };
}
