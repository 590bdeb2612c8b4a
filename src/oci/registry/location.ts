/** Where an image of a reference is asked for: at its registry, or elsewhere as registries.conf says. */
import { imageError, quoted } from '../../oci-names/errors.js';
import { makeReference, type Reference } from '../../oci-names/reference.js';
import { SandboxError } from '../../util/errors.js';
import { type RegistrySettings, settingsFor } from './registries-conf.js';

/**
 * What is said of the registry of a reference, and what stands behind the prefix of that.
 * @throws {SandboxError} `registries-conf-invalid`, `registry-blocked`
 */
export function settingsOf(
  { registry, repository }: Reference,
  environment: NodeJS.ProcessEnv,
): { readonly settings: RegistrySettings; readonly rest: string } {
  const name = `${registry}/${repository}`;
  const found = settingsFor(name, environment);
  if (found?.isBlocked)
    throw imageError(
      'registry-blocked',
      `${quoted(name)} is blocked by registries.conf, for ${quoted(found.prefix)}`,
      'use another registry, or take that out of the file',
    );
  const itself = { prefix: registry, location: registry, isInsecure: false, isBlocked: false, mirrors: [] };
  if (found === undefined) return { settings: itself, rest: repository };
  // What is said of all hosts of a domain has no location of its own.
  if (found.prefix.startsWith('*.')) return { settings: { ...found, location: registry }, rest: repository };
  return { settings: found, rest: name.slice(found.prefix.length).replace(/^\//, '') };
}

/**
 * The repository at a location, which may have a part of its name.
 * @param location `HOST[:PORT][/PREFIX]`
 * @param rest empty: all of the name is in the location
 * @throws {SandboxError} `location-invalid`
 */
export function parseLocation(location: string, rest: string): { registry: string; repository: string } {
  const [registry = '', ...prefix] = location.split('/');
  const repository = [...prefix, ...(rest === '' ? [] : [rest])].join('/');
  try {
    return makeReference({ registry, repository, tag: undefined, digest: undefined }, location);
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    throw imageError(
      'location-invalid',
      `${quoted(location)} of registries.conf is no location`,
      'write HOST[:PORT][/PREFIX]',
      error,
    );
  }
}
