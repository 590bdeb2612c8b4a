/** The services that there are. */
import { statSync } from 'node:fs';
import { valueOr } from '../util/errors.js';
import { loadService } from './file.js';
import { isServiceName } from './names.js';
import { type ServiceRoots, servicePaths } from './paths.js';
import { namesIn } from './store/staging.js';
import type { Service } from './types.js';

/** A service, or why its file cannot be read. */
export type ListedService =
  | { readonly name: string; readonly service: Service }
  | { readonly name: string; readonly problem: unknown };

/**
 * The names of all services, sorted.
 * @throws {SandboxError} `service-directory-unusable`
 */
export function serviceNames(roots: ServiceRoots): string[] {
  const isService = (name: string) =>
    isServiceName(name) && valueOr(() => statSync(servicePaths(roots, name).file).isFile(), false);
  return namesIn(roots).filter(isService).sort();
}

/** Whether a service is of that URI, as far as its file says. */
export function mayBeOf(one: ListedService, uri: string): boolean {
  const own = 'service' in one ? one.service.settings.connect : undefined;
  return own === undefined || own === uri;
}

/** @throws {SandboxError} `service-directory-unusable` */
export async function listServices(roots: ServiceRoots): Promise<ListedService[]> {
  return Promise.all(
    serviceNames(roots).map(async (name) => {
      try {
        return { name, service: await loadService(roots, name) };
      } catch (problem) {
        return { name, problem };
      }
    }),
  );
}
