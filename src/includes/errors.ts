/** Errors of includes that cannot be copied. */
import { SandboxError } from '../util/errors.js';
import type { Entry } from './entry.js';

/**
 * The error `include-failed`.
 *
 * @param why The reason, as the end of a sentence.
 * @param code Name of the errno, if known: `ENOSPC`.
 */
export function includeError(
  { source, target }: Pick<Entry, 'source' | 'target'>,
  why: string,
  code: string | undefined,
  cause?: unknown,
): SandboxError {
  return new SandboxError({
    stage: 'init',
    code: 'include-failed',
    message: `${source} could not be copied to ${target}: ${why}`,
    remedy:
      REMEDIES[code ?? ''] ??
      'check that the mount which covers it can hold such a file, and that nothing else is there',
    cause,
  });
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'give the mount which covers it more room',
  EFBIG: 'give the mount which covers it more room',
  EROFS: 'make the mount which covers it writable: leave out its ,ro',
};

/**
 * The error `include-through-link`: a symbolic link on the way to the target. A sandbox may have made it, so it may
 * lead anywhere on the host.
 *
 * @param part Path of the link, there.
 */
export function throughLinkError(
  entry: Pick<Entry, 'source' | 'target'>,
  part: string,
  where: 'inside' | 'on the host' = 'on the host',
): SandboxError {
  return new SandboxError({
    stage: 'init',
    code: 'include-through-link',
    message: `${entry.source} is not copied to ${entry.target}: ${where} ${part} is a symbolic link, and may lead out of the mount`,
    remedy: 'include it where no link is on the way, or remove the link',
  });
}

/**
 * The error `include-device`: the include has a device, and its copy in a directory of the host would work there too.
 */
export function deviceError({ source, target }: Entry): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'include-device',
    message: `${source} is a device, and a copy of it on the host would give access to everyone who can reach ${target} there`,
    remedy: 'include it into a ram or host-image mount, or leave it out',
  });
}
