/** Checks of a whole sandbox: those that need more than one option's value. */
import type { SandboxError } from '../util/errors.js';
import { forCaller, option } from '../util/option-names.js';
import { configError, quote } from './errors.js';
import { checkHome, remedyInHome } from './home.js';
import { coveringMount } from './include-mount.js';
import { checkName } from './name.js';
import { checkGraphics } from './parsers/graphics.js';
import { MIB } from './parsers/size.js';
import { hasControlCharacter } from './parsers/text.js';
import { normalizePath } from './path.js';
import { checkTuning } from './tuning-check.js';
import type { SandboxConfig } from './types.js';

/** Bytes. With less, no kernel boots. */
export const LEAST_MEMORY = 32 * MIB;

/** Bytes. Above this, the KiB of libvirt and the whole numbers of JavaScript, exact up to 2^53, no longer agree. */
export const MOST_MEMORY = 2 ** 50;

/** The most virtual CPUs that a machine can have without an interrupt remapper. */
export const MOST_VCPUS = 255;

/** Bytes of one argument or variable, with its NUL: MAX_ARG_STRLEN of Linux. */
const LONGEST_WORD = 128 * 1024;

/**
 * Bytes of all arguments and variables, each with its NUL and a pointer: what Linux takes with the usual stack, less
 * some room for what the guest adds. See execve(2).
 */
const MOST_WORDS = 2 * MIB - 16 * 1024;

/**
 * Checks a sandbox without looking at the host; {@link checkHost} does that just before the start.
 * @param isIdle it has no command, and lives until it is stopped
 * @returns the same sandbox
 * @throws SandboxError `no-command`, `name-invalid`, `name-too-long`, `uuid-invalid`, `root-not-absolute`,
 *   `kernel-version-invalid`, `memory-out-of-range`, `vcpus-out-of-range`, `kvm-required`, `cwd-not-absolute`,
 *   `home-not-absolute`, `home-is-root`, `home-of-system`, `home-mounted`, `home-source-not-absolute`,
 *   `hide-not-absolute`, `mount-target-not-absolute`, `mount-root-duplicate`, `mount-root-bind`,
 *   `hide-with-image`, `root-fs-with-image`, `root-cache-with-image`, `privileged-with-user`, `root-image-mounted`,
 *   `overlay-not-absolute`, `overlay-root-mount`, `include-not-covered`, `disk-tag-invalid`, `disk-tag-duplicate`,
 *   `image-twice`, `graphics-listen-needs-vnc`, `graphics-xvnc-compositor`, `env-key-invalid`, `nul-character`,
 *   `argument-too-long`, `arguments-too-long`, `clipboard-without-viewers`, `clipboard-without-compositor`, and what
 *   {@link checkTuning} throws
 */
export function validateConfig(config: SandboxConfig, isIdle = false): SandboxConfig {
  refuseNul(config);
  // An image that is not in the store yet may have a command, and its own user.
  const isWhole = config.root.type === 'directory' || config.root.stored !== undefined;
  if (!isIdle && isWhole) checkCommand(config.command);
  if (config.name !== undefined) checkName(config.name);
  if (config.uuid !== undefined) checkUuid(config.uuid);
  checkRoot(config);
  if (config.cwd !== undefined) checkAbsolute(config.cwd, 'cwd-not-absolute', 'the working directory');
  checkAbsolute(config.identity.home, 'home-not-absolute', `the home directory of ${config.identity.username}`);
  if (config.kernel.version !== undefined) checkKernelVersion(config.kernel.version);
  checkMachine(config);
  for (const path of config.hidden.paths) checkAbsolute(path, 'hide-not-absolute', 'a path to hide');
  checkOverlay(config);
  checkMounts(config);
  if (isWhole) checkHome(config);
  checkIncludes(config);
  checkDisks(config);
  checkImages(config);
  if (config.graphics !== undefined) checkGraphics(config.graphics);
  checkEnvironment(config);
  checkWords(config);
  checkClipboard(config);
  checkTuning(config);
  return config;
}

/** Who copies and pastes are viewers of VNC, and programs that something shows. */
function checkClipboard({ clipboard, graphics }: SandboxConfig): void {
  if (clipboard === 'none') return;
  const wanted = option('clipboard', clipboard);
  if (graphics?.viewers !== 'vnc')
    throw configError(
      'clipboard-without-viewers',
      `${wanted} is for viewers of VNC that talk to QEMU, and this sandbox has none`,
      `give it ${forCaller({ commandLine: '--graphics=vnc', program: "graphics: 'vnc'" })}, or leave out ${option('clipboard')}`,
    );
  if (graphics.compositor === 'none')
    throw configError(
      'clipboard-without-compositor',
      `${wanted} needs a compositor or an X server, which has the clipboard of the programs that it shows`,
      `name one in ${option('graphics')}, or leave out ${option('clipboard')}`,
    );
}

function checkCommand(command: readonly string[]): void {
  if ((command[0] ?? '') !== '') return;
  const remedy = forCaller({
    commandLine: 'name a program after the options: -- /bin/date',
    program: "name a program: command: ['/bin/date']",
  });
  throw configError('no-command', 'there is no command to run', remedy);
}

function checkUuid(uuid: string): void {
  if (/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(uuid)) return;
  throw configError('uuid-invalid', `${quote(uuid)} is not a UUID`, 'write it as 8-4-4-4-12 hexadecimal digits');
}

/** A version names a directory of the modules path, so it must be one plain name. */
function checkKernelVersion(version: string): void {
  if (/^[A-Za-z0-9][^/\s]*$/.test(version)) return;
  throw configError(
    'kernel-version-invalid',
    `${quote(version)} cannot be the version of a kernel`,
    'give a version as uname -r prints it',
  );
}

function checkAbsolute(path: string, code: string, what: string): void {
  if (path.startsWith('/')) return;
  throw configError(
    code,
    `${what} is ${quote(path)}, which is not an absolute path`,
    'write a path that begins with /',
  );
}

function checkMachine({ memory, vcpus, acceleration, requireKvm }: SandboxConfig): void {
  if (!Number.isSafeInteger(memory) || memory < LEAST_MEMORY || memory > MOST_MEMORY) {
    throw configError(
      'memory-out-of-range',
      `a machine cannot have ${memory} bytes of memory`,
      `give it ${LEAST_MEMORY / MIB} MiB or more`,
    );
  }
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MOST_VCPUS) {
    throw configError('vcpus-out-of-range', `a machine cannot have ${vcpus} CPUs`, `give it 1 to ${MOST_VCPUS}`);
  }
  if (requireKvm && acceleration === 'tcg') {
    throw configError(
      'kvm-required',
      'KVM is required, and emulation is asked for',
      `leave out ${option('requireKvm')} or ${option('acceleration', 'tcg')}`,
    );
  }
}

/** What replaces a directory of the host cannot be hidden in, nor replaced by another mount. */
function checkRoot({ root, mounts, hidden, privileged, rootFs, rootCache }: SandboxConfig): void {
  if (root.type === 'directory') {
    checkAbsolute(root.path, 'root-not-absolute', 'the root directory');
    return;
  }
  if (hidden.paths.length > 0)
    throw configError(
      'hide-with-image',
      `nothing of this host is in the root of an image, and ${option('hidden')} is for that`,
      `leave out ${option('hidden')}`,
    );
  if (rootFs !== 'auto') throw notServed('root-fs-with-image', option('rootFs', rootFs));
  if (rootCache !== 'auto') throw notServed('root-cache-with-image', option('rootCache', rootCache));
  if (privileged === true && root.user !== undefined)
    throw configError(
      'privileged-with-user',
      `${option('privileged')} stays root and cannot go with ${option('root.user', root.user)}`,
      'leave out one of them',
    );
  if (root.stored === undefined && mounts.some(({ target }) => normalizePath(target) === '/'))
    throw configError(
      'root-image-mounted',
      'a mount has the target "/", where the file system of the image belongs',
      `leave out the mount, or the image of ${option('root')}`,
    );
}

/** @param given an option with its value */
function notServed(code: string, given: string): SandboxError {
  return configError(
    code,
    `nothing serves the root of an image, which is a disk of its own, and ${given} is for a directory of this host`,
    `leave out ${given}`,
  );
}

function checkOverlay({ root, mounts, overlay }: SandboxConfig): void {
  if (overlay === undefined) return;
  if (overlay.type !== 'memory') checkAbsolute(overlay.path, 'overlay-not-absolute', 'where the overlay is kept');
  if (root.type === 'image' || mounts.every(({ target }) => normalizePath(target) !== '/')) return;
  throw configError(
    'overlay-root-mount',
    `a mount has the target "/", and ${option('overlay')} is for a root that is a directory of the host`,
    `leave out one of them, or name the directory with ${option('root')}`,
  );
}

function checkMounts({ mounts }: SandboxConfig): void {
  for (const { target } of mounts) checkAbsolute(target, 'mount-target-not-absolute', 'the target of a mount');
  // On any other target a later mount may hide an earlier one; a second root cannot.
  if (mounts.filter(({ target }) => normalizePath(target) === '/').length > 1) {
    throw configError('mount-root-duplicate', 'more than one mount has the target "/"', 'keep one of them');
  }
  if (mounts.some(({ type, target }) => type === 'guest-bind' && normalizePath(target) === '/')) {
    throw configError(
      'mount-root-bind',
      'a guest-bind cannot have the target "/": without a root there is nothing to bind',
      'use host-bind, host-image or ram',
    );
  }
}

function checkIncludes(config: SandboxConfig): void {
  const { mounts } = config;
  for (const { target } of mounts.flatMap(({ includes }) => includes)) {
    if (coveringMount(mounts, target) !== undefined) continue;
    throw configError(
      'include-not-covered',
      `include ${quote(target)} is not inside any mount`,
      remedyInHome(config, target) ?? 'add a mount whose target is above it',
    );
  }
}

function checkDisks({ disks }: SandboxConfig): void {
  const seen = new Set<string>();
  for (const { tag } of disks) {
    if (tag === '' || tag === '.' || tag === '..' || tag.includes('/') || hasControlCharacter(tag)) {
      throw configError(
        'disk-tag-invalid',
        `a disk cannot have the tag ${quote(tag)}`,
        'choose a tag that can be a file name in /dev/disk/by-tag',
      );
    }
    if (seen.has(tag)) {
      throw configError('disk-tag-duplicate', `two disks have the tag ${quote(tag)}`, 'give each disk its own tag');
    }
    seen.add(tag);
  }
}

/**
 * A writable image can be used only once. QEMU would refuse a second use too, but its message blames another process.
 */
function checkImages({ disks, mounts, overlay }: SandboxConfig): void {
  const kept = overlay?.type === 'image' ? [{ source: overlay.path, readOnly: false }] : [];
  const images = [...disks, ...mounts.filter((mount) => mount.type === 'host-image'), ...kept];
  for (const [index, { source }] of images.entries()) {
    const users = images.filter((image) => normalizePath(image.source) === normalizePath(source));
    if (users[0] !== images[index] || users.length < 2 || users.every(({ readOnly }) => readOnly)) continue;
    throw configError(
      'image-twice',
      `the image ${quote(source)} is used more than once and is writable`,
      `use it once, or make every use read-only (${forCaller({ commandLine: ',ro', program: 'readOnly' })})`,
    );
  }
}

function checkEnvironment({ environment }: SandboxConfig): void {
  for (const { key } of environment) {
    if (key !== '' && !key.includes('=')) continue;
    throw configError(
      'env-key-invalid',
      `${quote(key)} cannot be the name of an environment variable`,
      'choose a name that is not empty and has no =',
    );
  }
}

/** Linux would refuse too long ones only after the guest has booted. */
function checkWords({ command, environment }: SandboxConfig): void {
  const words = [...command, ...environment.map(({ key, value }) => `${key}=${value}`)];
  const remedy = 'hand it over on standard input or in a file';
  let all = 0;
  for (const word of words) {
    const length = Buffer.byteLength(word) + 1;
    all += length + 8;
    if (length <= LONGEST_WORD) continue;
    const what = `the argument or variable ${quote(`${word.slice(0, 20)}…`)} has ${length - 1} bytes`;
    throw configError('argument-too-long', `${what}, and Linux takes at most ${LONGEST_WORD - 1}`, remedy);
  }
  if (all <= MOST_WORDS) return;
  throw configError(
    'arguments-too-long',
    `the command and its environment take ${all} bytes, and Linux takes at most ${MOST_WORDS}`,
    `split them, as with xargs -s ${MIB}, or ${remedy}`,
  );
}

/** Refuses NUL in every text: the kernel would silently end the path, argument or variable there. */
function refuseNul(value: unknown): void {
  if (typeof value === 'string' && value.includes('\0')) {
    throw configError('nul-character', `${quote(value)} has a NUL character`, 'remove it');
  }
  if (typeof value === 'object' && value !== null) Object.entries(value).flat().forEach(refuseNul);
}
