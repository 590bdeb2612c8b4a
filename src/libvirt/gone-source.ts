/** How libvirt says that a container's directory is gone from the host. */

/** Code of the error for a container whose start lacked a directory that the host had before. */
export const SOURCE_GONE = 'source-gone';

/**
 * libvirt's words for a directory of the host that a container is to have and that its daemon does not find. It moves
 * the host's root to /.oldroot first. Users choose the names of mounts, so the words before them count.
 */
const GONE_SOURCE =
  /^.{0,100}Failure in libvirt_lxc startup: (?:Failed to access '|Failed to resolve symlink at |Unable to stat bind source |Failed to bind mount directory )(?:\/\.oldroot)?(\/.*)/s;
const IS_GONE =
  /'?: (?:No such file or directory|Not a directory|Stale file handle|Transport endpoint is not connected)/;
/** What it is bound to follows it. */
const BOUND_TO = / to \/(?:newroot|dev\/\.sandbox)/;

/**
 * The directory of the host that libvirt does not find.
 * @param text a message of libvirt's
 * @returns undefined: it says something else
 */
export function goneSource(text: string): string | undefined {
  const [, rest = ''] = GONE_SOURCE.exec(text) ?? [];
  const end = rest.search(IS_GONE);
  return end < 0 ? undefined : rest.slice(0, end).split(BOUND_TO)[0];
}
