/** What the host of a service has now. */
import { realpathSync } from 'node:fs';
import { rootDirectoryOf } from '../../config/root.js';
import type { ServiceRoots } from '../paths.js';
import type { Service, ServiceSettings } from '../types.js';
import { type Baseline, baselineOf, saveBaseline } from './baseline.js';
import { foreignPaths } from './fill.js';
import { packageManagerOf } from './package-manager.js';

type Described = Pick<Service, 'config'> & { readonly settings: Pick<ServiceSettings, 'copied'> };

export async function hostNow(roots: ServiceRoots, { config, settings }: Described): Promise<Baseline> {
  const root = realpathSync(rootDirectoryOf(config));
  return baselineOf({
    root,
    manager: packageManagerOf(root),
    copied: settings.copied,
    foreign: foreignPaths(roots, config, root),
  });
}

/** Writes it into the directory of a service, if its root is a directory. */
export async function recordHost(
  roots: ServiceRoots,
  service: Described & { readonly paths: Pick<Service['paths'], 'directory'> },
): Promise<void> {
  if (service.config.root.type !== 'directory') return;
  await saveBaseline(service.paths.directory, await hostNow(roots, service));
}
