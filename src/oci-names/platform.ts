/** Platforms of images, by the names that Go has for architectures. */
import type { SandboxError } from '../util/errors.js';
import { imageError, listOf, quoted } from './errors.js';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  arm64: 'arm64',
  arm: 'arm',
  ppc64: 'ppc64le',
  riscv64: 'riscv64',
  s390x: 's390x',
  loong64: 'loong64',
};

/** Other names of architectures, as people and kernels say them. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['x86_64', 'amd64'],
  ['x86-64', 'amd64'],
  ['i386', '386'],
  ['i686', '386'],
  ['aarch64', 'arm64'],
  ['armhf', 'arm'],
  ['armv7l', 'arm'],
  ['loongarch64', 'loong64'],
]);

/** What `uname -m` says, where that is not Go's name. */
const MACHINES: ReadonlyMap<string, string> = new Map([
  ['amd64', 'x86_64'],
  ['386', 'i686'],
  ['arm64', 'aarch64'],
  ['arm', 'armv7l'],
  ['loong64', 'loongarch64'],
]);

/** The variant of an architecture that means the same as none: containerd's `platforms.Normalize`. */
const DEFAULT_VARIANT: Readonly<Record<string, string>> = { amd64: 'v1', arm64: 'v8', arm: 'v7' };

/** What guests of this host run. */
export function hostPlatform(architecture: string = process.arch): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[architecture] ?? architecture, variant: undefined };
}

/**
 * The value of `--platform`: `[OS/]ARCHITECTURE[/VARIANT]`.
 * @throws {SandboxError} `platform-invalid`
 */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split('/');
  const [os = '', name = '', variant, ...more] = parts[0] === 'linux' || parts.length > 2 ? parts : ['linux', ...parts];
  if (more.length > 0 || ![os, name, variant ?? '-'].every((part) => /^[a-z0-9_.-]+$/.test(part)))
    throw imageError('platform-invalid', `${quoted(text)} is no platform`, 'write linux/amd64, or linux/arm64/v8');
  if (os !== 'linux')
    throw imageError(
      'platform-invalid',
      `an image for ${quoted(os)} does not run in a sandbox`,
      'choose a platform of linux',
    );
  return { os, architecture: parseArchitecture(name), variant };
}

/** Go's name of an architecture, from any that people have for it. */
export function parseArchitecture(name: string): string {
  return ALIASES.get(name) ?? name;
}

/** What `uname -m` says of an architecture that has Go's name, as libguestfs and libosinfo call it. */
export function machineName(architecture: string): string {
  return MACHINES.get(architecture) ?? architecture;
}

export function platformText({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === undefined ? '' : `/${variant}`}`;
}

/** Platforms that need no quotes. */
const USUAL = /^[a-z0-9_.-]{1,32}(\/[a-z0-9_.-]{1,32}){1,2}$/;

/** How well an image for a platform serves where another is wanted: 0 not at all, and more is better. */
export function fitness(has: Platform, wanted: Platform): number {
  if (has.os !== wanted.os || has.architecture !== wanted.architecture) return 0;
  const usual = DEFAULT_VARIANT[wanted.architecture];
  const [its, asked] = [has.variant ?? usual, wanted.variant ?? usual];
  if (its === asked) return 100;
  // v6 of arm runs where v7 does, and amd64/v3 not on every host.
  if (its === undefined || asked === undefined || !/^v\d$/.test(its) || its > asked) return 0;
  return Number(its.slice(1)) + 1;
}

/**
 * @param there the platforms that the image has
 * @param which names the image
 */
export function platformMissing(there: readonly Platform[], wanted: Platform, which: string): SandboxError {
  const names = [...new Set(there.map(platformText))].map((name) => (USUAL.test(name) ? name : quoted(name)));
  return imageError(
    'platform-missing',
    `${which} is not there for ${platformText(wanted)}${names.length === 0 ? '' : `, only for ${listOf(names)}`}`,
    names.length === 0 ? 'use another image' : 'use another image, or choose with --platform',
  );
}
