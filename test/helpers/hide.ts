/** Hides files from a program: mounts over them in a mount namespace of its own. The host does not notice. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { scratchDirectory } from './scratch.js';

/** The words that run a command in a private mount namespace, after `script` ran there. */
export function mounted(script: string): string[] {
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', `${script}\nexec "$@"`, 'sh'];
}

/** The same with /dev/null over each of these files: they exist, but cannot be executed or loaded. */
export function hidden(...paths: readonly string[]): string[] {
  return mounted(paths.map((path) => `mount --bind /dev/null '${path}'`).join('\n'));
}

/** A command that runs the next one with another file in place of `path`. */
export function replaced(t: TestContext, path: string, make: (copy: string) => void): string[] {
  const copy = join(scratchDirectory(t), basename(path));
  copyFileSync(path, copy);
  make(copy);
  return mounted(`mount --bind '${copy}' '${path}'`);
}

/** The words that run a command in a host whose /dev/kvm, if there is one, is no KVM. */
export const WITHOUT_KVM: readonly string[] = mounted('[ ! -e /dev/kvm ] || mount --bind /dev/null /dev/kvm');

/** The path of libvirt.so.0. */
export function libvirtLibrary(): string {
  const line = execFileSync('ldconfig', ['-p'], { encoding: 'utf8' })
    .split('\n')
    .find((text) => text.includes('libvirt.so.0 '));
  return line?.split(' => ')[1] ?? '/nonexistent/libvirt.so.0';
}

/** The paths of those programs that are installed. */
export function programPaths(...names: readonly string[]): string[] {
  return names.flatMap((name) =>
    ['/usr/bin', '/usr/sbin', '/usr/libexec', '/usr/local/bin']
      .map((directory) => `${directory}/${name}`)
      .filter(existsSync),
  );
}
