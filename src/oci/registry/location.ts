/** Where an image of a reference is asked for: at its registry, or elsewhere as registries.conf says. */
import { imageError, quoted } from '../../oci-names/errors.js';
import { makeReference, type Reference, referenceText } from '../../oci-names/reference.js';
import { SandboxError } from '../../util/errors.js';
import { type Location, settingsFor } from './registries-conf.js';

/** Where to ask for an image, the best first. */
export interface Locations {
  readonly mirrors: readonly Location[];
  readonly registry: Location;
  /** What stands behind each location; empty: they have all of the name. */
  readonly rest: string;
}

/**
 * Where an image is asked for.
 * @throws {SandboxError} `registries-conf-invalid`, `registry-blocked`
 */
export function locationsOf(reference: Reference, environment: NodeJS.ProcessEnv): Locations {
  const { registry, repository, digest } = reference;
  const itself = { location: registry, isInsecure: false };
  const found = settingsFor(referenceText(reference), environment);
  if (found === undefined) return { mirrors: [], registry: itself, rest: repository };
  const { prefix, location, isInsecure } = found;
  if (found.isBlocked) throw blocked(referenceText(reference), prefix);
  const unasked = digest === undefined ? 'digest-only' : 'tag-only';
  const mirrors = found.mirrors.filter(({ askedFor }) => askedFor !== unasked);
  // What is said of all hosts of a domain stands for the host alone.
  if (prefix.startsWith('*.'))
    return { mirrors, registry: { location: location ?? registry, isInsecure }, rest: repository };
  const name = `${registry}/${repository}`;
  // A prefix may be longer than the name: it may have a tag.
  const rest = name.slice(prefix.length).replace(/^\//, '');
  return { mirrors, registry: { location: location ?? name.slice(0, prefix.length), isInsecure }, rest };
}

/** Where a registry as a whole is: itself, or elsewhere as registries.conf says. */
export interface RegistryHost {
  /** Its name in auth files, since a pull looks for the credentials of that one. */
  readonly registry: string;
  readonly isInsecure: boolean;
}

/**
 * Where a registry as a whole is asked, as for a pull of what registries.conf says nothing more exact of.
 * @param registry `docker.io`, `localhost:5000`
 * @throws {SandboxError} `registries-conf-invalid`, `registry-blocked`, `location-invalid`
 */
export function hostOfRegistry(registry: string, environment: NodeJS.ProcessEnv): RegistryHost {
  const found = settingsFor(registry, environment);
  if (found === undefined) return { registry, isInsecure: false };
  const { prefix, location = registry, isInsecure, isBlocked } = found;
  if (isBlocked) throw blocked(registry, prefix);
  return { registry: parseLocation(location, 'any').registry, isInsecure };
}

function blocked(name: string, prefix: string): SandboxError {
  return imageError(
    'registry-blocked',
    `${quoted(name)} is blocked by registries.conf, for ${quoted(prefix)}`,
    'use another registry, or take that out of the file',
  );
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
