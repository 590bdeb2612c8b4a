/** sandbox.cfg: saves a sandbox to a file and loads it. Saving a loaded sandbox gives the same bytes. */
import { lstat, readFile, writeFile } from 'node:fs/promises';
import { messageOf, SandboxError } from '../../util/errors.js';
import { replaceFile } from '../../util/replace-file.js';
import { configError, quote } from '../errors.js';
import { callerIdentity, groupsOf, HOST_USERS, rootIdentity, type UserDatabase } from '../identity.js';
import type { SandboxConfig } from '../types.js';
import { validateConfig } from '../validate.js';
import { readSandboxCfg } from './read.js';
import { writeSandboxCfg } from './write.js';

export interface SaveOptions {
  /** The version of the kernel that was found, for a sandbox that names none: the file always has one. */
  readonly kernelRelease?: string | undefined;
  /** Where the user's groups are looked up; the file has them only if they differ. */
  readonly users?: UserDatabase | undefined;
}

export interface LoadOptions {
  /** The file's name, for messages. */
  readonly origin?: string | undefined;
  /** Where the user's groups are looked up if the file does not list them. */
  readonly users?: UserDatabase | undefined;
}

/** The text of the sandbox.cfg that describes `config`. */
export async function formatSandboxCfg(config: SandboxConfig, options: SaveOptions = {}): Promise<string> {
  const hostGroups = await groupsOf(config.identity, options.users ?? HOST_USERS);
  return writeSandboxCfg(config, { kernelRelease: options.kernelRelease, hostGroups });
}

/**
 * The sandbox that the text of a sandbox.cfg describes.
 * @throws SandboxError of stage `config`, with the codes of {@link readSandboxCfg}, {@link validateConfig} and the
 *   parsers of options
 */
export async function parseSandboxCfg(text: string, options: LoadOptions = {}): Promise<SandboxConfig> {
  const users = options.users ?? HOST_USERS;
  const origin = options.origin ?? 'sandbox.cfg';
  try {
    return validateConfig(
      await readSandboxCfg(text, origin, {
        caller: () => callerIdentity(users),
        root: (savedHome) => rootIdentity(users, savedHome),
        groupsOf: (user) => groupsOf(user, users),
      }),
    );
  } catch (error) {
    throw error instanceof SandboxError ? inFile(error, origin) : error;
  }
}

/** The same error, with the file's name and the stage `config`. */
function inFile(error: SandboxError, origin: string): SandboxError {
  const message = error.message.includes(origin) ? error.message : `${origin}: ${error.message}`;
  return configError(error.code, message, error.remedy, error);
}

/**
 * Writes `config` to `path`. A file is replaced as a whole or not at all; a device or a symbolic link is written
 * through. Only the owner can read a new file, because the environment may hold secrets.
 * @throws SandboxError `config-not-writable`
 */
export async function saveSandboxCfg(path: string, config: SandboxConfig, options: SaveOptions = {}): Promise<void> {
  const text = await formatSandboxCfg(config, options);
  try {
    if (await isSpecial(path)) return await writeFile(path, text);
    await replaceFile(path, text, { mode: 0o600, flush: true });
  } catch (error) {
    throw configError(
      'config-not-writable',
      `cannot write the sandbox to ${quote(path)}: ${messageOf(error)}`,
      'name a file in a directory where you may write',
      error,
    );
  }
}

/** True if `path` exists and is not a regular file: /dev/stdout must not be replaced. */
async function isSpecial(path: string): Promise<boolean> {
  try {
    return !(await lstat(path)).isFile();
  } catch {
    return false;
  }
}

/**
 * Reads the sandbox in the file `path`.
 * @throws SandboxError `config-not-readable`, `config-not-utf8`, and those of {@link parseSandboxCfg}
 */
export async function loadSandboxCfg(path: string, options: Omit<LoadOptions, 'origin'> = {}): Promise<SandboxConfig> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw configError(
      'config-not-readable',
      `cannot read the sandbox in ${quote(path)}: ${messageOf(error)}`,
      'name a readable sandbox.cfg',
      error,
    );
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw configError('config-not-utf8', `${quote(path)} is not UTF-8 text`, 'name a sandbox.cfg', error);
  }
  return parseSandboxCfg(text, { ...options, origin: path });
}
