/** Over which URI a service runs: who may have it there, and what a caller takes it to be. */
import { realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { quote } from '../config/errors.js';
import { normalizePath } from '../config/path.js';
import { ignoreSandboxError, valueOr } from '../util/errors.js';
import { serviceError } from './errors.js';
import { loadService } from './file.js';
import type { ServiceRoots } from './paths.js';
import { foreignContent } from './taken-over.js';
import type { Service } from './types.js';

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
