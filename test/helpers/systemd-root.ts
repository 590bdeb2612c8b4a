/** A root with the systemd of this host and little else, as a directory or as an OCI image. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findInPath } from '../../src/util/programs.js';
import { testImage, writeLayout } from './oci/image.js';
import { writeUnits } from './systemd-sandbox.js';

/** What systemd itself starts, and what starts systemd. */
const PROGRAMS = [
  'systemd-tmpfiles systemctl journalctl sh unshare mount umount nsenter setpriv',
  'sleep cat echo ls mkdir touch true id grep head tail stat',
].flatMap((line) => line.split(' '));
const OF_SYSTEMD = ['systemd', 'systemd-executor', 'systemd-journald', 'systemd-shutdown'];

/** Links of a root whose /usr is merged. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64'];

const LACKS = { passwd: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n', group: 'root:x:0:\n' };

/**
 * Copies it into a directory.
 * @param units of the test, in the place of those of packages
 * @param without files that it is to lack
 * @returns the directory
 */
export function systemdRoot(
  root: string,
  units: Readonly<Record<string, string>>,
  without: readonly string[] = [],
): string {
  const programs = [
    ...PROGRAMS.map((name) => findInPath(name) ?? name),
    ...OF_SYSTEMD.map((name) => `/usr/lib/systemd/${name}`),
  ];
  for (const path of [
    'dev',
    'proc',
    'sys',
    'run',
    'tmp',
    'root',
    'etc/systemd',
    'var/log',
    ...MERGED.map((name) => `usr/${name}`),
  ])
    mkdirSync(join(root, path), { recursive: true });
  for (const name of MERGED) symlinkSync(`usr/${name}`, join(root, name));
  addPrograms(root, programs);
  cpSync('/usr/lib/systemd/system', join(root, 'usr/lib/systemd/system'), { recursive: true, verbatimSymlinks: true });
  for (const [name, text] of Object.entries(LACKS)) writeFileSync(join(root, 'etc', name), text);
  writeFileSync(join(root, 'etc/machine-id'), '');
  writeUnits(join(root, 'usr/lib/systemd/system'), units);
  for (const path of without) rmSync(join(root, path));
  return root;
}

/**
 * Writes the image of such a root, with one layer.
 * @param config the field `config` of its config
 * @returns what `--root` takes
 */
export function systemdImage(
  directory: string,
  units: Readonly<Record<string, string>>,
  { without = [], config = {} }: { readonly without?: readonly string[]; readonly config?: object } = {},
): string {
  const root = systemdRoot(join(directory, 'root'), units, without);
  // As a build leaves it.
  writeFileSync(join(root, 'run/built'), '');
  const tar = execFileSync('tar', ['-C', root, '--sort=name', '-cf', '-', '.'], { maxBuffer: 1 << 28 });
  rmSync(root, { recursive: true });
  const image = testImage([tar], { compression: 'none', config });
  writeLayout(join(directory, 'layout'), image.blobs, [{ blob: image.manifest, tag: 'latest' }]);
  return `oci:${join(directory, 'layout')}`;
}

/** Copies programs of this host, and what they are linked with. */
export function addPrograms(root: string, programs: readonly string[]): void {
  for (const path of new Set([...programs, ...librariesOf(programs)])) copy(path, root);
}

/** A path of this host is one of the root, whose /usr is merged, too. */
function copy(path: string, root: string): void {
  const target = join(root, path);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(realpathSync(path), target);
}

/** Those that programs are linked with, and the loader. */
function librariesOf(programs: readonly string[]): string[] {
  const found = execFileSync('ldd', programs, { encoding: 'utf8' });
  return [...found.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
}
