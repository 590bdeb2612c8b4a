/** Finds the host's mounts below a directory. libvirt's binds do not include them, so each needs a bind of its own. */
import { readFileSync, statSync } from 'node:fs';

/** The kernel's names of file systems without user files. */
const KERNEL_TYPES = new Set(
  (
    'autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs ' +
    'proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs'
  ).split(' '),
);

/**
 * Mount points below `directory`, relative to it, parents first. File systems without user files are left out, and so
 * are files that are mounted on files: libvirt binds directories only.
 * @param directory without symbolic links
 * @param table the text of /proc/PID/mountinfo; default: this process's. proc_pid_mountinfo(5)
 */
export function mountsBelow(directory: string, table = readFileSync('/proc/self/mountinfo', 'utf8')): string[] {
  const prefix = directory === '/' ? '/' : `${directory}/`;
  const points = table
    .trimEnd()
    .split('\n')
    .map(parse)
    .filter(({ point, type }) => point.startsWith(prefix) && point !== '/' && !KERNEL_TYPES.has(type))
    .map(({ point }) => point.slice(prefix.length));
  return [...new Set(points)].sort().filter((point) => isDirectory(prefix + point));
}

function parse(line: string): { point: string; type: string } {
  const [before = '', after = ''] = line.split(' - ');
  // The kernel escapes blanks and backslashes as three octal digits.
  const point = (before.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return { point, type: after.split(' ')[0] ?? '' };
}

/** False also for a path that another mount hides or that this user may not read. */
function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
