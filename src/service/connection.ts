/** Over which URI a service runs: who may have it there, and what a caller takes it to be. */
import { realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { quote } from '../config/errors.js';
import { normalizePath } from '../config/path.js';
import { kindOf } from '../libvirt/connect.js';
import { URI } from '../libvirt/connection.js';
import { defaultUri } from '../libvirt/default-uri.js';
import { ignoreSandboxError, valueOr } from '../util/errors.js';
import { serviceError } from './errors.js';
import { loadService } from './file.js';
import type { ServiceRoots } from './paths.js';
import { foreignContent } from './taken-over.js';
import type { Service, ServiceSettings } from './types.js';

/** Other than the one that is refused. */
const USER_URIS = `${URI.session} or ${URI.embedded}`;

/**
 * The URI that the file of a new service is to have. Without one in `connect`, this host's default counts.
 * @throws {SandboxError} `service-on-system-uri`, `uri-not-supported`, and what `defaultUri` throws
 */
export function checkConnection(roots: ServiceRoots, connect: string | undefined): string | undefined {
  const configured = connect === undefined ? defaultUri() : undefined;
  const uri = connect ?? configured?.uri;
  if (uri !== undefined) checkUri(roots, uri, `run this as root, or with -c ${USER_URIS}`, configured?.origin);
  return uri;
}

/**
 * Whether a caller may name that URI.
 * @throws {SandboxError} `service-on-system-uri`, `uri-not-supported`
 */
export function checkGivenUri(roots: ServiceRoots, uri: string): void {
  checkUri(roots, uri, `leave out -c, run this as root, or give it ${USER_URIS}`);
}

/**
 * Whether the file of a service may name its URI.
 * @throws {SandboxError} `service-on-system-uri`, `uri-not-supported`
 */
export function checkFileUri(roots: ServiceRoots, name: string, { connect }: Pick<ServiceSettings, 'connect'>): void {
  const remedy = `have its file name another one, ${USER_URIS}: connect= in [service], by virt-sandbox-service edit ${name}`;
  if (connect !== undefined) checkUri(roots, connect, remedy);
}

/** @param origin the setting that names it; undefined: a file or the caller does */
function checkUri({ scope }: ServiceRoots, uri: string, remedy: string, origin?: string): void {
  const kind = kindOf(uri, origin);
  if (scope === 'system' || kind === 'session' || kind === 'embedded') return;
  const setting = origin === undefined ? '' : ` (${origin})`;
  throw serviceError('service-on-system-uri', `only root can have services over ${uri}${setting}`, remedy);
}

/** What a caller takes a service to be. */
export interface Expected {
  /** URI of libvirt. */
  readonly connect?: string | undefined;
  /** The directory in which its state is: an absolute path. */
  readonly path?: string | undefined;
}

/**
 * Holds that against the file of a service. What the file does not say contradicts nothing. One that is not there, or
 * whose file is wrong, is passed over: what is to be done with it says so.
 * @throws {SandboxError} `service-of-other-uri`, `service-of-other-path`
 */
export async function checkExpected(roots: ServiceRoots, name: string, expected: Expected): Promise<void> {
  const service = await ignoreSandboxError(loadService(roots, name));
  if (service === undefined) return;
  const { connect, path } = expected;
  const what = `the service ${quote(name)}`;
  if (connect !== undefined) checkSameUri(what, service.settings.connect, connect);
  if (path === undefined) return;
  const places = statePlaces(service);
  const [first] = places;
  if (first === undefined || places.some((place) => isSame(place, path))) return;
  throw serviceError(
    'service-of-other-path',
    `the state of ${what} is in ${quote(first)}, and --path says ${quote(path)}`,
    `leave out --path, or give it ${quote(first)}`,
  );
}

/**
 * @param what has that URI; undefined: it names none
 * @throws {SandboxError} `service-of-other-uri`
 */
export function checkSameUri(what: string, own: string | undefined, given: string): void {
  if (own === undefined || own === given) return;
  throw serviceError(
    'service-of-other-uri',
    `${what} is of ${quote(own)}, and --connect says ${quote(given)}`,
    `leave out --connect, or give it ${quote(own)}`,
  );
}

/** The directories that `--path` may name. An image of libvirt-sandbox was never in one. */
function statePlaces(service: Service): string[] {
  const { overlay } = service.config;
  if (overlay !== undefined && overlay.type !== 'memory') return [dirname(overlay.path)];
  const isDirectory = (path: string) => valueOr(() => statSync(path).isDirectory(), false);
  return foreignContent(service).filter(isDirectory).map(dirname);
}

function isSame(one: string, other: string): boolean {
  const real = (path: string) => valueOr(() => realpathSync(path), normalizePath(path));
  return real(one) === real(other);
}
