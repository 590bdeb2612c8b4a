/** Packages of dpkg: dpkg-query(1) */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findInPath } from '../../util/programs.js';
import { linkIn } from '../../util/real-path.js';
import { queryLines } from './query.js';
import type { Package, PackageManager } from './types.js';

const PROGRAM = 'dpkg-query';
const DATABASE = '/var/lib/dpkg';
/** It replaces names in braces, and escapes as in C. */
const FORMAT = `${['binary:Package', 'db:Status-Status', 'source:Package'].map((field) => `$\{${field}}`).join('\\t')}\\n`;
/** Paths in one call: each is compared with each file of each package. */
const AT_ONCE = 200;

/** Undefined: the root has no such packages, or this host not the program. */
export function dpkgOf(root: string): PackageManager | undefined {
  const database = join(root, DATABASE);
  if (!existsSync(join(database, 'status')) || findInPath(PROGRAM) === undefined) return undefined;
  const ask = (args: readonly string[]) => queryLines(PROGRAM, [`--admindir=${database}`, ...args]);
  return {
    installed: async (name) =>
      parseInstalled(await ask(['--show', `--showformat=${FORMAT}`, ...(name === undefined ? [] : ['--', name])])),
    digests: async () => digestsIn(root, join(database, 'info')),
    files: async (names) => (names.length === 0 ? [] : parseFiles(await ask(['--listfiles', '--', ...names]))),
    owners: async (paths) => {
      const owners = new Map<string, string[]>();
      for (let at = 0; at < paths.length; at += AT_ONCE) {
        const some = paths.slice(at, at + AT_ONCE);
        const patterns = [...new Set(some.flatMap(namesOf))].map(escaped);
        const found = parseOwners(await ask(['--search', '--', ...patterns]));
        for (const path of some) {
          const all = namesOf(path).flatMap((one) => found.get(one) ?? []);
          if (all.length > 0) owners.set(path, [...new Set(all)]);
        }
      }
      return owners;
    },
  };
}

/** A package may have put into /lib what is in /usr/lib, where the first is a link to the second. */
function namesOf(path: string): string[] {
  const [, merged] = /^\/usr(\/(?:bin|sbin|lib(?:32|64|x32|o32)?)\/.*)/.exec(path) ?? [];
  return merged === undefined ? [path] : [path, merged];
}

/** It takes patterns of fnmatch(3). */
function escaped(path: string): string {
  return path.replaceAll(/[\\*?[\]]/g, '\\$&');
}

export function parseInstalled(lines: readonly string[]): Package[] {
  return lines.flatMap((line) => {
    const [name = '', status, source = ''] = line.split('\t');
    return status === 'installed' ? [{ name, source }] : [];
  });
}

/** Of all packages, but not of their configuration: deb-md5sums(5) */
async function digestsIn(root: string, directory: string): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  // Where /lib is a link to /usr/lib packages may have either.
  const merged = ['bin', 'sbin', 'lib', 'lib64'].filter((name) => linkIn(root, `/${name}`) === `usr/${name}`);
  for (const name of await readdir(directory)) {
    if (!name.endsWith('.md5sums')) continue;
    for (const line of (await readFile(join(directory, name), 'utf8')).split('\n')) {
      const [, digest, path = ''] = /^([0-9a-f]{32}) {2}(.+)$/.exec(line) ?? [];
      if (digest === undefined) continue;
      const isMerged = merged.some((top) => path.startsWith(`${top}/`));
      digests.set(`/${isMerged ? 'usr/' : ''}${path}`, `md5:${digest}`);
    }
  }
  return digests;
}

/** Beside paths it says what diverts them: `diverted by dash to: /bin/sh.distrib`. */
export function parseFiles(lines: readonly string[]): string[] {
  const paths = lines.filter((line) => line.startsWith('/')).map((line) => (line === '/.' ? '/' : line));
  return [...new Set(paths)];
}

/** `adduser, login: /etc/default` */
export function parseOwners(lines: readonly string[]): Map<string, string[]> {
  const owners = new Map<string, string[]>();
  for (const line of lines) {
    const [, names, path] = /^([a-z0-9][a-z0-9+.:-]*(?:, [a-z0-9][a-z0-9+.:-]*)*): (\/.*)$/.exec(line) ?? [];
    if (names !== undefined && path !== undefined)
      owners.set(path, [...(owners.get(path) ?? []), ...names.split(', ')]);
  }
  return owners;
}
