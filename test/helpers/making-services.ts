/** Services in a directory of a test, and beside those of this host. */
import { mkdirSync } from 'node:fs';
import type { SandboxConfig } from '../../src/config/types.js';
import { createService } from '../../src/service/create/create.js';
import { type CreateTexts, describeService } from '../../src/service/create/describe.js';
import type { ServiceRoots } from '../../src/service/paths.js';
import type { Service } from '../../src/service/types.js';
import { endDetached } from './ctl.js';
import { type RunOptions, type RunResult, runSandbox, SERVICE_PROGRAM } from './run.js';
import { placesBelow } from './service-places.js';

/** Places of services below a directory, which are made. */
export function servicesIn(directory: string): ServiceRoots {
  const roots = placesBelow(directory);
  for (const path of [roots.services, roots.directories, roots.images]) mkdirSync(path, { mode: 0o755 });
  return roots;
}

/** Makes a service that is not to be started. */
export async function makeTestService(
  roots: ServiceRoots,
  name: string,
  texts: Omit<Partial<CreateTexts>, 'sandbox'> & { readonly sandbox?: CreateTexts['sandbox'] } = {},
  change: (config: SandboxConfig) => SandboxConfig = (config) => config,
): Promise<Service> {
  const { sandbox = {}, ...own } = texts;
  const wanted = await describeService(roots, name, {
    sandbox,
    command: ['/bin/sleep', '1000'],
    connect: 'qemu:///embed',
    ...own,
  });
  return createService(roots, name, { ...wanted, config: change(wanted.config) });
}

/** Runs `virt-sandbox-service ARGS` to its end. */
export function service(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return runSandbox(args, { ...options, program: SERVICE_PROGRAM });
}

/** Ends services of this host, and removes them. */
export async function removeServices(names: readonly string[], options: RunOptions = {}): Promise<void> {
  for (const name of names) {
    await endDetached(name, options);
    await service(['delete', name], options);
  }
}
