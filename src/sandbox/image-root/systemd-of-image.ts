/** Whether an image has the systemd that is to be its application. */
import { DEFAULT_PATH } from '../../../init/common/environment.js';
import { SYSTEMD_PATHS } from '../../../init/common/systemd-scripts.js';
import { configError, quote } from '../../config/errors.js';
import { type LookUp, withLookUp } from '../../oci/erofs/look-up.js';
import { ErofsError } from '../../oci/erofs/reader.js';

/** What the init starts systemd with, and asks it with: init/common/systemd-scripts.ts */
const PROGRAMS = ['unshare', 'mount', 'nsenter', 'systemctl'];

/**
 * @param path the file system of the image
 * @param name what errors call the image
 * @throws {SandboxError} `systemd-missing`
 * @throws a system error
 */
export function checkSystemdOf(path: string, name: string): void {
  const lacks = lacksOf(path);
  if (lacks.length === 0) return;
  throw configError(
    'systemd-missing',
    `the image ${quote(name)} cannot run units: it has no ${lacks.join(', no ')}`,
    'take an image with systemd and util-linux, or one whose command is run: leave out --unitfile',
  );
}

function lacksOf(path: string): string[] {
  try {
    return withLookUp(path, (lookUp) => {
      const lacks = (what: string, paths: readonly string[]) =>
        paths.some((one) => isProgram(lookUp, one)) ? [] : [what];
      return [
        ...lacks('systemd', SYSTEMD_PATHS),
        ...lacks('/bin/sh', ['/bin/sh']),
        ...PROGRAMS.flatMap((name) =>
          lacks(
            name,
            DEFAULT_PATH.split(':').map((directory) => `${directory}/${name}`),
          ),
        ),
      ];
    });
  } catch (error) {
    // A damaged image is found out where it is mounted.
    if (error instanceof ErofsError) return [];
    throw error;
  }
}

function isProgram(lookUp: LookUp, path: string): boolean {
  const found = lookUp(path, true);
  return found?.kind === 'file' && (found.mode & 0o111) !== 0;
}
