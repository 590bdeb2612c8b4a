/** A directory with packages of dpkg, as a root of services. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface PackagedFile {
  readonly mode?: number;
  readonly uid?: number;
  /** Undefined: a directory. */
  readonly text?: string;
}

export interface TestPackage {
  readonly name: string;
  readonly source?: string;
  /** By their paths. */
  readonly files: Readonly<Record<string, PackagedFile>>;
}

/** Makes the database of packages in a root. */
export function makePackagedRoot(root: string, packages: readonly TestPackage[]): void {
  for (const name of ['info', 'updates', 'triggers']) mkdirSync(join(root, 'var/lib/dpkg', name), { recursive: true });
  for (const name of ['status', 'available']) writeFileSync(join(root, 'var/lib/dpkg', name), '');
  for (const one of packages) installPackage(root, one);
}

export function installPackage(root: string, { name, source = name, files }: TestPackage, version = '1'): void {
  const build = join(root, '.build');
  const control = [
    `Package: ${name}`,
    `Source: ${source}`,
    `Version: ${version}`,
    'Architecture: all',
    'Maintainer: x <x@example.org>',
    'Description: x',
  ];
  mkdirSync(join(build, 'DEBIAN'), { recursive: true });
  writeFileSync(join(build, 'DEBIAN/control'), `${control.join('\n')}\n`);
  for (const [path, { mode, uid = 0, text }] of Object.entries(files)) {
    const made = join(build, path);
    mkdirSync(text === undefined ? made : dirname(made), { recursive: true });
    if (text !== undefined) writeFileSync(made, text);
    chownSync(made, uid, uid);
    chmodSync(made, mode ?? (text === undefined ? 0o755 : 0o644));
  }
  const file = join(root, '.package.deb');
  execFileSync('dpkg-deb', ['-b', build, file], { stdio: 'ignore' });
  execFileSync('dpkg', [`--root=${root}`, '--force-bad-path,unsafe-io', '-i', file], {
    stdio: 'pipe',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  rmSync(build, { recursive: true });
  rmSync(file);
}
