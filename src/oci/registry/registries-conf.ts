/**
 * What the administrator and the user say of registries: mirrors, other locations, no TLS, none at all. The files are
 * those of podman and skopeo, containers-registries.conf(5), and of them only `[[registry]]`.
 */
import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import * as v from 'valibot';
import { imageError } from '../../oci-names/errors.js';
import { isSystemError, valueOr } from '../../util/errors.js';
import { baseDirectory } from '../../util/home.js';
import { othersWhoMayReplace } from '../../util/ownership.js';
import { readRegular, UnreadableFile } from '../../util/regular-files.js';

const SYSTEM = '/etc/containers';
const NAME = 'registries.conf';
const MOST_BYTES = 1 << 20;
/** More than a prefix has. */
const LONGEST = MOST_BYTES;

/** Where something is asked for. */
export interface Location {
  /** `HOST[:PORT][/PREFIX]` */
  readonly location: string;
  /** Any certificate will do, or no TLS. */
  readonly isInsecure: boolean;
}

/** What is said of one registry, or of a part of it. */
export interface RegistrySettings extends Omit<Location, 'location'> {
  /** Undefined: the prefix itself, and of all hosts of a domain each. */
  readonly location: string | undefined;
  /** `HOST[:PORT][/PATH]`; `*.DOMAIN` is all hosts below it. */
  readonly prefix: string;
  readonly isBlocked: boolean;
  readonly mirrors: readonly Mirror[];
}

/** What a mirror is asked for: all, or only images that are named by a digest, or by a tag. */
const ASKED_FOR = ['all', 'digest-only', 'tag-only'] as const;

export interface Mirror extends Location {
  readonly askedFor: (typeof ASKED_FOR)[number];
}

const LocationSchema = v.object({ location: v.optional(v.string()), insecure: v.optional(v.boolean(), false) });
const FileSchema = v.object({
  registry: v.optional(
    v.array(
      v.object({
        ...LocationSchema.entries,
        prefix: v.optional(v.string()),
        blocked: v.optional(v.boolean(), false),
        'mirror-by-digest-only': v.optional(v.boolean(), false),
        mirror: v.optional(
          v.array(
            v.object({
              ...LocationSchema.entries,
              location: v.string(),
              'pull-from-mirror': v.optional(v.picklist(ASKED_FOR)),
            }),
          ),
          [],
        ),
      }),
    ),
    [],
  ),
});

/**
 * What the files say of a repository: the entry with the longest prefix of it. Undefined: nothing.
 * @param reference `docker.io/library/debian:13`
 * @throws {SandboxError} `registries-conf-invalid`
 */
export function settingsFor(reference: string, environment: NodeJS.ProcessEnv): RegistrySettings | undefined {
  const fitting = settingsFiles(environment)
    .flatMap(readSettings)
    .filter(({ prefix }) => isWithin(reference, prefix));
  // Of two with one prefix the later file counts.
  return fitting.reduce<RegistrySettings | undefined>(
    (best, one) => (best === undefined || weightOf(one) >= weightOf(best) ? one : best),
    undefined,
  );
}

/** What is said of all hosts of a domain counts for less than what is said of one. */
function weightOf({ prefix }: RegistrySettings): number {
  return prefix.startsWith('*.') ? prefix.length - LONGEST : prefix.length;
}

/** A prefix may end with a repository, its tag or its digest. */
function isWithin(reference: string, prefix: string): boolean {
  const [host = ''] = reference.split('/');
  if (prefix.startsWith('*.')) return host.replace(/:\d+$/, '').endsWith(prefix.slice(1));
  if (!reference.startsWith(prefix)) return false;
  const next = reference.charAt(prefix.length);
  // Behind a host alone a colon begins a port, which is another host.
  return next === '' || next === '/' || (prefix.includes('/') && (next === ':' || next === '@'));
}

/** In the order in which they are read. A file of the user's is read in place of the system's. */
function settingsFiles(environment: NodeJS.ProcessEnv): string[] {
  const named = environment['CONTAINERS_REGISTRIES_CONF'];
  if (named) {
    if (readText(named) === undefined) throw invalid(named, 'it is not there');
    return [named];
  }
  const own = valueOr(() => baseDirectory('XDG_CONFIG_HOME', environment), undefined);
  const users = own === undefined ? [] : [join(own, 'containers')];
  const first = [...users, SYSTEM].map((directory) => join(directory, NAME));
  const main = first.find((path) => readText(path) !== undefined);
  const more = [SYSTEM, ...users].map((directory) => join(directory, `${NAME}.d`));
  return [
    ...(main === undefined ? [] : [main]),
    ...more.flatMap((directory) =>
      namesIn(directory)
        .filter((file) => file.endsWith('.conf'))
        .sort()
        .map((file) => join(directory, file)),
    ),
  ];
}

/** One that cannot be listed may forbid something. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return [];
    throw isSystemError(error) ? invalid(directory, `it cannot be listed (${error.code})`, error) : error;
  }
}

function readSettings(path: string): RegistrySettings[] {
  const text = readText(path);
  if (text === undefined) return [];
  const { registry } = parseFile(text, path);
  return registry.map(({ prefix, location, insecure, blocked, mirror, ...more }) => {
    const named = prefix || location;
    if (named === undefined) throw invalid(path, 'a [[registry]] has neither prefix nor location');
    const usual = more['mirror-by-digest-only'] ? 'digest-only' : 'all';
    return {
      prefix: normalPrefix(named),
      location: location && normalPrefix(location),
      isInsecure: insecure,
      isBlocked: blocked,
      mirrors: mirror.map((one) => ({
        location: normalPrefix(one.location),
        isInsecure: one.insecure,
        askedFor: one['pull-from-mirror'] ?? usual,
      })),
    };
  });
}

/** As references have it: hosts in small letters, and no slash at the end. */
function normalPrefix(text: string): string {
  const [host = '', ...path] = text.replace(/\/+$/, '').split('/');
  return [host.toLowerCase(), ...path].join('/');
}

function parseFile(text: string, path: string): v.InferOutput<typeof FileSchema> {
  try {
    return v.parse(FileSchema, parse(text));
  } catch (error) {
    if (error instanceof TomlError) throw invalid(path, `line ${error.line} is no TOML`, error);
    if (error instanceof v.ValiError) throw invalid(path, `${v.getDotPath(error.issues[0])} has another type`, error);
    throw error;
  }
}

/** Undefined: it is not there. Root reads none that others could change. A link to /dev/null takes a file away. */
function readText(path: string): string | undefined {
  try {
    const real = realpathSync(path);
    if (real === '/dev/null') return '';
    const text = readRegular(real, MOST_BYTES);
    const other = process.geteuid?.() === 0 ? othersWhoMayReplace(path) : undefined;
    if (other !== undefined) throw invalid(path, `${other}, who could name another registry`);
    return text;
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return undefined;
    if (isSystemError(error)) throw invalid(path, `it cannot be read (${error.code})`, error);
    if (error instanceof UnreadableFile) throw invalid(path, `it ${error.message}`, error);
    throw error;
  }
}

function invalid(path: string, why: string, cause?: unknown) {
  return imageError(
    'registries-conf-invalid',
    `${path} cannot be used: ${why}`,
    'mend it, or name another file with CONTAINERS_REGISTRIES_CONF',
    cause,
  );
}
