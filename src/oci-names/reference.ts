/**
 * References to images in registries: `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`. The grammar is that of the OCI distribution
 * specification 1.1 and, for short names, of Docker.
 */

import type { SandboxError } from '../util/errors.js';
import { type Digest, parseDigest } from './digest.js';
import { imageError, quoted } from './errors.js';

/** What stands for Docker Hub in references. */
export const DOCKER_HUB = 'docker.io';

export interface Reference {
  /** Host, with a port if one was given: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly registry: string;
  /** `library/debian` */
  readonly repository: string;
  /** Undefined only beside a digest. */
  readonly tag: string | undefined;
  /** It wins over the tag. */
  readonly digest: Digest | undefined;
}

const PART = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${PART}(?:/${PART})*$`);
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const HOST = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::([1-9]\d{0,4}))?$/;
/** As Docker bounds a name with its host. */
const MOST_NAME = 255;

/** Names that Docker Hub has besides its own. */
const HUB_ALIASES = ['index.docker.io', 'registry-1.docker.io', 'index.docker.io:443', 'docker.io:443'];

/** @throws {SandboxError} `reference-invalid`, `digest-invalid` */
export function parseReference(text: string): Reference {
  const [named = '', digestText, ...more] = text.split('@');
  if (more.length > 0) throw invalid(text, 'it has more than one @');
  const digest = digestText === undefined ? undefined : parseDigest(digestText);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  const { registry, repository } = splitName(hasTag ? named.slice(0, colon) : named);
  return makeReference({ registry, repository, tag, digest }, text);
}

/** Whether the first part of a name is a host: it has a `.` or a `:`, or is `localhost`. */
export function isHost(part: string): boolean {
  return /[.:]/.test(part) || part.toLowerCase() === 'localhost';
}

function splitName(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  if (isHost(first)) return { registry: first, repository: name.slice(slash + 1) };
  return { registry: DOCKER_HUB, repository: name };
}

/**
 * A reference from its parts. Docker Hub gets its one name, and `library/` for repositories of one part; without a tag
 * and a digest the tag is `latest`.
 * @param text what the user wrote
 * @throws {SandboxError} `reference-invalid`
 */
export function makeReference(parts: Reference, text: string): Reference {
  const given = parts.registry.toLowerCase();
  const registry = HUB_ALIASES.includes(given) ? DOCKER_HUB : given;
  const isShort = registry === DOCKER_HUB && !parts.repository.includes('/');
  const repository = isShort ? `library/${parts.repository}` : parts.repository;
  const tag = parts.tag ?? (parts.digest === undefined ? 'latest' : undefined);
  const port = HOST.exec(registry);
  if (port === null || !isAsUrlsHaveIt(registry)) throw invalid(text, `${quoted(registry)} is no name of a registry`);
  if (!REPOSITORY.test(repository)) throw invalid(text, whyNoRepository(parts.repository));
  if (registry.length + 1 + repository.length > MOST_NAME)
    throw invalid(text, `its name is longer than ${MOST_NAME} characters`);
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, `${quoted(tag)} is no tag`);
  return { registry, repository, tag, digest: parts.digest };
}

/** Others, such as `127.1` and ports above 65535, would be another host in a request than in an auth file, or none. */
function isAsUrlsHaveIt(registry: string): boolean {
  const url = `https://${registry}/`;
  return URL.canParse(url) && new URL(url).host === registry.replace(/:443$/, '');
}

function whyNoRepository(repository: string): string {
  if (repository === '') return 'it has no name';
  if (/[A-Z]/.test(repository)) return 'its name has capital letters';
  return `${quoted(repository)} is no name of an image`;
}

export function invalid(text: string, why: string): SandboxError {
  return imageError(
    'reference-invalid',
    `${quoted(text)} names no image: ${why}`,
    'write [HOST[:PORT]/]NAME[:TAG][@DIGEST], such as docker://debian:13',
  );
}

/** The whole reference, with registry and tag: `docker.io/library/debian:13`. */
export function referenceText({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}
