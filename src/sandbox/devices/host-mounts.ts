/** What is mounted on the host below a directory: a bind mount of libvirt's shows none of it, so each is a bind of its own. */
import { readFileSync, statSync } from 'node:fs';

/** File systems that hold nobody's files, as the kernel names them. */
const KERNEL_TYPES = new Set(
  (
    'autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs proc pstore rpc_pipefs ' +
    'securityfs selinuxfs sysfs tracefs'
  ).split(' '),
);

/**
 * The directories below `directory` on which something is mounted that has files, relative to it, those above before those below. A single
 * file that is mounted on another is not among them: libvirt binds directories.
 * @param directory without symbolic links, as the kernel's table has it
 * @param table the text of /proc/PID/mountinfo; default: of this process. proc_pid_mountinfo(5)
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
  // The kernel writes blanks and backslashes of a path as three octal digits.
  const point = (before.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return { point, type: after.split(' ')[0] ?? '' };
}

/** False also for what another mount hides, or what only its owner may look at. */
function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
