/** Files of services that other versions have made: they become those of today. */
import { lstatSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FORMAT_VERSION } from '../../config/sandbox-cfg/format.js';
import { KeyFile } from '../../config/sandbox-cfg/keyfile.js';
import { Section } from '../../config/sandbox-cfg/section.js';
import { readPlainFile } from '../../util/small-files.js';
import { type Described, formatService, loadService, parseService, readServiceFile, saveService } from '../file.js';
import { type ServiceRoots, servicePaths } from '../paths.js';
import { makeService } from '../store/staging.js';
import { labelContent, withOwnCategories } from './own-label.js';

/** More than any such file has. */
const MOST_BYTES = 2 ** 20;

/** What has become of a service's file. */
export type TakenOver = 'moved' | 'rewritten' | undefined;

/**
 * Takes over `services/NAME.sandbox`, where libvirt-sandbox before 0.5 had it, and rewrites a file of another version.
 * Whoever is killed meanwhile is finished by the next call.
 * @throws {SandboxError} what `parseService`, `labelContent`, `makeService` and `saveService` throw
 */
export async function takeOverFile(roots: ServiceRoots, name: string, isDry: boolean): Promise<TakenOver> {
  const paths = servicePaths(roots, name);
  const old = join(roots.services, `${name}.sandbox`);
  const ownOf = <T extends Described>(described: T) => withOwnCategories(roots, name, described);
  const hasOld = lstatSync(old, { throwIfNoEntry: false })?.isFile() === true;
  const hasNew = lstatSync(paths.directory, { throwIfNoEntry: false }) !== undefined;
  if (hasOld && !hasNew) {
    const before = await parseOld(old, name);
    if (isDry) return 'moved';
    const described = await ownOf(before);
    await labelContent({ name, paths, ...described }, before.config);
    await makeService(roots, name, (staged) => saveService({ paths: staged.paths, ...described }));
    rmSync(old);
    return 'moved';
  }
  const text = await readServiceFile(paths.file, name);
  // A process that was killed has not come to that.
  if (hasOld && !isDry && (await formatService(await ownOf(await parseOld(old, name)))) === text) rmSync(old);
  const version = new Section(KeyFile.parse(text, paths.file), 'api').text('version');
  if (version === FORMAT_VERSION) return undefined;
  const before = await loadService(roots, name);
  if (isDry) return 'rewritten';
  const service = await ownOf(before);
  await labelContent(service, before.config);
  await saveService(service);
  return 'rewritten';
}

async function parseOld(path: string, name: string) {
  const text = readPlainFile(path, { most: MOST_BYTES, uid: process.geteuid?.() });
  const { config, settings } = await parseService(text, path);
  return { config: { ...config, name }, settings };
}
