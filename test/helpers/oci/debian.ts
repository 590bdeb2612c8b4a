/** Debian itself, or what of its family this host is, as one layer: made of packages, as those who publish it do. */
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { unlessProgram } from '../images.js';
import { unlessRoot } from '../scratch.js';

/** As slim images are. */
const LEFT_OUT = ['doc', 'locale', 'man'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
/** What apt says where a mirror does not answer, and not where it lacks something. With --quiet it is not shown. */
const UNREACHABLE =
  /^E: Failed to fetch .*(?:not (?:resolve|connect)|Temporary failure|Unable to connect|Connection |unreachable).*$/m;

/** A reason to skip, or false if one can be made here, should the mirror answer. */
export function unlessDebian(): string | false {
  return (
    unlessRoot('unpacks packages') ||
    unlessProgram('mmdebstrap', 'unshare', 'apt-get', 'apt-config', 'dpkg-deb') ||
    (mirrors().length === 0 ? `apt of this host knows no mirror for ${codename()}` : false)
  );
}

/** The release that this host has. */
function codename(): string {
  return /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'this release';
}

/** The lines of a sources.list for that release, as this host's apt is configured. */
function mirrors(): string[] {
  const fields = ['SITE', 'RELEASE', 'COMPONENT', 'CODENAME', 'SIGNED_BY'].map((name) => `$(${name})`).join('|');
  const text = execFileSync('apt-get', ['indextargets', `--format=${fields}`, 'Created-By: Packages'], {
    encoding: 'utf8',
  });
  const lines = text.split('\n').flatMap((line) => {
    const [site = '', release = '', component = '', name, key = ''] = line.split('|');
    // Without lists of packages apt does not know the codename, and without a key it says `$(SIGNED_BY)`.
    if (![name, release].includes(codename()) || !/^https?:/.test(site)) return [];
    return [`deb ${key.startsWith('/') ? `[signed-by=${key}] ` : ''}${site} ${release} ${component}`];
  });
  // One for each architecture.
  return [...new Set(lines)];
}

/** The proxy that apt goes through, for programs that do not read its configuration. */
function proxy(): NodeJS.ProcessEnv {
  const text = execFileSync('apt-config', ['shell', 'found', 'Acquire::http::Proxy'], { encoding: 'utf8' });
  const value = /^found='(.+)'$/m.exec(text)?.[1];
  return value === undefined ? {} : { http_proxy: value };
}

/**
 * In memory, where dpkg need not wait for a disk at each file; in a mount namespace of its own, so that nothing is
 * left, whatever ends it.
 */
const IN_MEMORY = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c'];
const MOUNTED = 'mount -t tmpfs -o mode=755 none "$TMPDIR" && exec "$@"';

/**
 * Makes a layer of Debian's smallest set with apt: a plain tar archive.
 * @param tar is written
 * @param options `scratch`: an empty directory, in which `tar` is not; `include`: more packages; `customize`: a shell
 *   command, for which `$1` is the root
 * @returns a reason to skip where no mirror answers
 */
export async function makeDebian(
  tar: string,
  options: { readonly scratch: string; readonly include: string; readonly customize: string },
): Promise<string | undefined> {
  const args = ['--format=tar', '--variant=minbase', `--include=${options.include}`, ...LEFT_OUT];
  const make = ['mmdebstrap', ...args, `--customize-hook=${options.customize}`, codename(), tar, ...mirrors()];
  const [program = '', ...words] = [...IN_MEMORY, MOUNTED, 'sh', ...make];
  const env = { ...process.env, ...proxy(), TMPDIR: options.scratch };
  try {
    await promisify(execFile)(program, words, { env, timeout: 400_000, maxBuffer: 1 << 24 });
    return undefined;
  } catch (error) {
    const [line] = UNREACHABLE.exec(String(error)) ?? [];
    if (line === undefined) throw error;
    return `no mirror of Debian answers: ${line.trim()}`;
  }
}
