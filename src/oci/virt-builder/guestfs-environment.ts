/** The environment of libguestfs' programs: that of this process, but what they leave behind is in the workspace. */
import { isAbsolute } from 'node:path';
import { baseDirectory, refuseIfNotRoots } from '../../util/home.js';
import { searchPath } from '../../util/programs.js';

/** Variables that name, perhaps several, what is run, booted, or says which templates there are. */
const PATHS = ['LIBGUESTFS_HV', 'LIBGUESTFS_QEMU', 'LIBGUESTFS_PATH', 'VIRT_BUILDER_DIRS'] as const;

/**
 * As root it has no directory of another user, who could say what root's templates are, and where root writes them to.
 * @param directory for temporary files
 * @throws {SandboxError} `directory-not-roots`, `home-unknown`
 */
export function guestfsEnvironment(directory: string, environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  for (const variable of ['XDG_CONFIG_HOME', 'XDG_CACHE_HOME'] as const) baseDirectory(variable, environment);
  for (const variable of PATHS)
    for (const path of (environment[variable] ?? '').split(':')) if (isAbsolute(path)) refuseIfNotRoots(path, variable);
  return {
    // libvirt would start QEMU as another user, who may not look into the directory.
    LIBGUESTFS_BACKEND: 'direct',
    ...environment,
    PATH: searchPath(),
    // Nothing of libguestfs stays: also the machine that it makes of the host's files is made anew.
    TMPDIR: directory,
    LC_ALL: 'C',
  };
}
