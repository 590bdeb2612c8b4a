/** Packages of rpm: rpm(8) */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findInPath } from '../../util/programs.js';
import { queryLines } from './query.js';
import type { Package, PackageManager } from './types.js';

const PROGRAM = 'rpm';
const DATABASES = ['/usr/lib/sysimage/rpm', '/var/lib/rpm'];
const NAME = '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}';

/** Undefined: the root has no such packages, or this host not the program. */
export function rpmOf(root: string): PackageManager | undefined {
  const hasDatabase = DATABASES.some((path) => existsSync(join(root, path)));
  if (!hasDatabase || findInPath(PROGRAM) === undefined) return undefined;
  const ask = (args: readonly string[]) => queryLines(PROGRAM, [...(root === '/' ? [] : ['--root', root]), ...args]);
  return {
    installed: async (name) =>
      parseInstalled(
        await ask(['-q', '--qf', `${NAME}\\t%{SOURCERPM}\\n`, ...(name === undefined ? ['-a'] : ['--', name])]),
      ),
    digests: async () => parseDigests(await ask(['-q', '-a', '--qf', '[%{FILENAMES}\\t%{FILEDIGESTS}\\n]'])),
    files: async (names) =>
      names.length === 0 ? [] : (await ask(['-q', '-l', '--', ...names])).filter((line) => line.startsWith('/')),
    // One by one: of several it does not say which is whose.
    owners: async (paths) => {
      const owners = new Map<string, string[]>();
      for (const path of paths) {
        const found = parseOwners(await ask(['-q', '--qf', `${NAME}\\t\\n`, '-f', '--', path]));
        if (found.length > 0) owners.set(path, found);
      }
      return owners;
    },
  };
}

/** What is not found is said in a sentence, without the tab. */
export function parseInstalled(lines: readonly string[]): Package[] {
  return lines.flatMap((line) => {
    const [name = '', source] = line.split('\t');
    // nginx-1.26.3-1.fc42.src.rpm
    return source === undefined ? [] : [{ name, source: source.replace(/-[^-]+-[^-]+$/, '') }];
  });
}

/** SHA-256 today; what has no digest is no file. */
export function parseDigests(lines: readonly string[]): Map<string, string> {
  const digests = new Map<string, string>();
  for (const line of lines) {
    const [, path, digest] = /^(\/.*)\t([0-9a-f]{64})$/.exec(line) ?? [];
    if (path !== undefined) digests.set(path, `sha256:${digest}`);
  }
  return digests;
}

export function parseOwners(lines: readonly string[]): string[] {
  return [...new Set(lines.flatMap((line) => (line.endsWith('\t') ? [line.slice(0, -1)] : [])))];
}
