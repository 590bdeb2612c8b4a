/** Profiles by name: those of this package, and those that `virt-sandbox-bench tune` or a person wrote. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, messageOf, SandboxError, valueOr } from '../util/errors.js';
import { baseDirectory } from '../util/home.js';
import { packageDirectory } from '../util/programs.js';
import { shellWord } from '../util/shell-word.js';
import { absolutePath } from '../util/working-directory.js';
import type { Profile, ProfileFile } from './types.js';

export const DEFAULT_PROFILE = 'default';

/** Where this package's own are. */
export function shippedProfiles(): string {
  return join(packageDirectory(), 'profiles');
}

/**
 * Where those of this user are.
 * @throws {SandboxError} `home-unknown`
 */
export function ownProfiles(): string {
  return join(baseDirectory('XDG_CONFIG_HOME'), 'libvirt-sandbox', 'profiles');
}

/**
 * @param wanted a name, or a path with a slash in it; undefined: VIRT_SANDBOX_PROFILE, else `default`
 * @throws {SandboxError} `profile-unknown`, `profile-invalid`
 */
export function loadProfile(wanted?: string): Promise<Profile> {
  return resolved(wanted ?? usualProfile(), []);
}

/** The same profile by a name or path that is good in any directory. */
export function profileCalled(wanted = usualProfile()): string {
  return wanted.includes('/') ? absolutePath(wanted) : wanted;
}

function usualProfile(): string {
  return process.env['VIRT_SANDBOX_PROFILE'] || DEFAULT_PROFILE;
}

/** @param extending the profiles that are being read because of which this one is */
async function resolved(name: string, extending: readonly string[]): Promise<Profile> {
  const own = await readProfile(name);
  const { extends: base } = own;
  // One that extends no other says everything.
  if (base === undefined) return own as Profile;
  const chain = [...extending, name];
  if (chain.includes(base)) throw invalid(name, `it extends itself (${[...chain, base].join(' extends ')})`);
  const { extended } = await import('./extend.js');
  return extended(await resolved(base, chain), own);
}

async function readProfile(name: string): Promise<ProfileFile> {
  if (name.includes('/')) return validated(name, read(name) ?? unknown(name));
  // What this package brings was checked when it was tested; a schema validator takes a while to load.
  const shipped = read(join(shippedProfiles(), `${name}.json`));
  if (shipped !== undefined) return JSON.parse(shipped) as ProfileFile;
  const path = join(ownProfiles(), `${name}.json`);
  return validated(path, read(path) ?? unknown(name));
}

/** Names of all profiles that can be named. */
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
    message: `the profile ${path} is not one: ${wrong}`,
    remedy: 'correct it; those of the package, in profiles/, show how it is written',
    cause,
  });
}

function unknown(name: string): never {
  throw new SandboxError({
    stage: 'config',
    code: 'profile-unknown',
    message: `there is no profile ${shellWord(name)}`,
    remedy: `use one of ${profileNames().join(', ')}, or the path of a file`,
  });
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return undefined;
    throw new SandboxError({
      stage: 'config',
      code: 'profile-unknown',
      message: `the profile ${path} cannot be read: ${messageOf(error)}`,
      remedy: 'make it readable for you',
      cause: error,
    });
  }
}
