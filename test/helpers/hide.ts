/** Takes things away from a program by mounting over them in a mount namespace of its own; the machine does not notice. */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** A command that runs what follows it where `script` has been run first, with a private mount table. */
export function mounted(script: string): string[] {
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', `${script}\nexec "$@"`, 'sh'];
}

/** The same where each of these files is there and cannot be executed, loaded or read as anything. */
export function hidden(...paths: readonly string[]): string[] {
  return mounted(paths.map((path) => `mount --bind /dev/null '${path}'`).join('\n'));
}

/** The libvirt library's file. */
export function libvirtLibrary(): string {
  const line = execFileSync('ldconfig', ['-p'], { encoding: 'utf8' })
    .split('\n')
    .find((text) => text.includes('libvirt.so.0 '));
  return line?.split(' => ')[1] ?? '/nonexistent/libvirt.so.0';
}

/** Those of `names` that are installed, by their paths. */
export function programPaths(...names: readonly string[]): string[] {
  return names.flatMap((name) =>
    ['/usr/bin', '/usr/sbin', '/usr/libexec', '/usr/local/bin']
      .map((directory) => `${directory}/${name}`)
      .filter(existsSync),
  );
}
