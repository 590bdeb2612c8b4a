/** Finds and reads profiles: those of this package, and the user's own, which `virt-sandbox-bench tune` also writes. */
import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, messageOf, SandboxError, valueOr } from '../util/errors.js';
import { baseDirectory } from '../util/home.js';
import { packageDirectory } from '../util/programs.js';
import { fileProblem, readRegular } from '../util/regular-files.js';
import { shellWord } from '../util/shell-word.js';
import { absolutePath } from '../util/working-directory.js';
import type { Profile, ProfileFile } from './types.js';

export const DEFAULT_PROFILE = 'default';

/** The largest profile that is read, in bytes. */
const MOST_PROFILE = 1 << 20;

/** Directory of this package's profiles. */
export function shippedProfiles(): string {
  return join(packageDirectory(), 'profiles');
}

/**
 * Directory of the user's own profiles.
 *
 * @throws {SandboxError} `home-unknown`
 */
export function ownProfiles(): string {
  return join(baseDirectory('XDG_CONFIG_HOME'), 'libvirt-sandbox', 'profiles');
}

/**
 * Reads a profile and those that it extends.
 *
 * @param wanted A name, or a path with a slash in it; default: VIRT_SANDBOX_PROFILE, else `default`.
 * @throws {SandboxError} `profile-unknown`, `profile-invalid`
 */
export function loadProfile(wanted?: string): Promise<Profile> {
  return resolved(wanted ?? defaultProfile(), []);
}

/** The profile's name, or its absolute path if it was given as a path. Arguments: as of {@link loadProfile}. */
export function profileCalled(wanted = defaultProfile()): string {
  return wanted.includes('/') ? absolutePath(wanted) : wanted;
}

function defaultProfile(): string {
  return process.env['VIRT_SANDBOX_PROFILE'] || DEFAULT_PROFILE;
}

/** @param extending Names of the profiles that led to this one. */
async function resolved(name: string, extending: readonly string[]): Promise<Profile> {
  const own = await readProfile(name);
  const { extends: base } = own;
  // A profile that extends no other is complete.
  if (base === undefined) return own as Profile;
  const chain = [...extending, name];
  if (chain.includes(base)) throw invalid(name, `it extends itself (${[...chain, base].join(' extends ')})`);
  const { extended } = await import('./extend.js');
  return extended(await resolved(base, chain), own);
}

async function readProfile(name: string): Promise<ProfileFile> {
  if (name.includes('/')) return validated(name, read(name) ?? unknown(name));
  // The package's own profiles are validated by a test. Here the validator would take a while to load.
  const shipped = read(join(shippedProfiles(), `${name}.json`));
  if (shipped !== undefined) return JSON.parse(shipped) as ProfileFile;
  const path = join(ownProfiles(), `${name}.json`);
  return validated(path, read(path) ?? unknown(name));
}

/** Sorted names of all profiles. */
export function profileNames(): string[] {
  const names = [shippedProfiles(), ownProfiles()]
    .flatMap((directory) => valueOr(() => readdirSync(directory), []))
    .filter((file) => file.endsWith('.json'));
  return [...new Set(names.map((file) => file.slice(0, -'.json'.length)))].sort();
}

async function validated(path: string, text: string): Promise<ProfileFile> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(path, messageOf(error), error);
  }
  const { checkProfile } = await import('./schema.js');
  const checked = checkProfile(value);
  if ('wrong' in checked) throw invalid(path, checked.wrong);
  return checked.profile;
}

function invalid(path: string, wrong: string, cause?: unknown): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'profile-invalid',
    message: `the profile ${path} is not valid: ${wrong}`,
    remedy: 'correct it; the profiles of the package, in profiles/, are examples',
    cause,
  });
}

function unknown(name: string): never {
  throw new SandboxError({
    stage: 'config',
    code: 'profile-unknown',
    message: `there is no profile ${shellWord(name)}`,
    remedy: `use one of ${profileNames().join(', ')}, or the path of a profile`,
  });
}

/** The record of somebody else's snapshot may name the path of anything, such as a FIFO or a device. */
function read(path: string): string | undefined {
  try {
    return readRegular(realpathSync(path), MOST_PROFILE);
  } catch (error) {
    const problem = fileProblem(error);
    if (problem === undefined) throw error;
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return undefined;
    throw new SandboxError({
      stage: 'config',
      code: 'profile-unknown',
      message: `the profile ${path} ${problem}`,
      remedy: 'name a file with a profile, which your user may read',
      cause: error,
    });
  }
}
