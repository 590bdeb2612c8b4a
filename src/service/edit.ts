/** Changes the file of a service by hand. */
import { quote } from '../config/errors.js';
import { replaceFile } from '../util/replace-file.js';
import { checkFileUri } from './connection.js';
import { serviceError } from './errors.js';
import { parseService, readServiceFile } from './file.js';
import { type ServiceRoots, servicePaths } from './paths.js';
import { type LockOptions, withServiceLock } from './store/lock.js';

/**
 * The text of a service's sandbox.cfg.
 * @throws {SandboxError} `service-not-found`, `config-not-readable`
 */
export async function readForEdit(roots: ServiceRoots, name: string): Promise<string> {
  return readServiceFile(servicePaths(roots, name).file, name);
}

/**
 * Puts another text in the place of `before`, if it describes a service.
 * @throws {SandboxError} `service-changed`: it is another one by now; `service-renamed`, and what `parseService` and
 *   `checkFileUri` throw
 */
export async function editService(
  roots: ServiceRoots,
  name: string,
  { before, after }: { readonly before: string; readonly after: string },
  options: LockOptions = {},
): Promise<void> {
  const { file } = servicePaths(roots, name);
  const { config, settings } = await parseService(after, file);
  if (config.name !== name)
    throw serviceError(
      'service-renamed',
      `the file names the service ${quote(config.name ?? '')}, and it is ${quote(name)}`,
      `write name=${name} in [core]`,
    );
  checkFileUri(roots, name, settings);
  await withServiceLock(
    roots,
    name,
    'exclusive',
    async () => {
      if ((await readForEdit(roots, name)) !== before)
        throw serviceError(
          'service-changed',
          `somebody else has changed the service ${quote(name)} meanwhile`,
          `begin again: virt-sandbox-service edit ${name}`,
        );
      await replaceFile(file, after, { mode: 0o600, flush: true, isOnlyWriter: true });
    },
    options,
  );
}
