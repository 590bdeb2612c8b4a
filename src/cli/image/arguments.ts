/** The command line of virt-sandbox-image, parsed. */
import type { RegistryOptions } from '../../oci/registry/options.js';
import { type Platform, parsePlatform, platformText } from '../../oci-names/platform.js';
import { type CommandArguments, textOf } from '../command-table.js';
import { type CommandProgram, type CommandRequest, commandCalled, parseCommand } from '../parse-command.js';
import { parseRegistryOptions } from '../registry-options.js';
import { options as sandboxOptions } from '../sandbox-options.js';
import { usageError as usageErrorOf } from '../usage-error.js';
import { commandAliases, type ImageCommandName, imageCommands } from './options.js';

export { isSet, textOf } from '../command-table.js';

export const PROGRAM = 'virt-sandbox-image';

export type ImageArguments = CommandArguments;
export type ImageRequest = CommandRequest<ImageCommandName>;

/** @throws {SandboxError} `usage` */
export function parseImageArguments(argv: readonly string[]): ImageRequest {
  return parseCommand(argv, IMAGE, {
    find: ([word = '', ...own]) => ({ name: imageCommandCalled(word), own }),
    // Those of virt-sandbox first: what both have is meant for the image.
    optionsOf: ({ options, runs }) => (runs ? { ...sandboxOptions, ...options } : options),
  });
}

const IMAGE: CommandProgram<ImageCommandName> = { program: PROGRAM, commands: imageCommands };

function imageCommandCalled(word: string): ImageCommandName {
  return (Object.hasOwn(commandAliases, word) ? commandAliases[word] : undefined) ?? commandCalled(word, IMAGE);
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
  return parseRegistryOptions(
    (name) => textOf(args, name),
    (message) => usageError(message, command),
  );
}
