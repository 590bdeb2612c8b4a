/** Includes that could not be written. */
import { SandboxError } from '../util/errors.js';
import type { Entry } from './walk.js';

/** @param code errno's name where it is known: ENOSPC */
export function includeError(
  { source, target }: Entry,
  why: string,
  code: string | undefined,
  cause?: unknown,
): SandboxError {
  return new SandboxError({
    stage: 'init',
    code: 'include-failed',
    message: `${source} could not be copied to ${target}: ${why}`,
    remedy:
      REMEDIES[code ?? ''] ?? 'see that the mount which covers it can hold such a file, and that nothing else is there',
    cause,
  });
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'give the mount which covers it more room',
  EFBIG: 'give the mount which covers it more room',
  EROFS: 'let the mount which covers it be written to: leave out its ,ro',
};

/** A symbolic link in a directory that a sandbox could write to may lead anywhere on the host. */
export function throughLinkError(entry: Entry, part: string): SandboxError {
  return new SandboxError({
    stage: 'init',
    code: 'include-through-link',
    message: `${entry.source} is not copied to ${entry.target}: on the host ${part} is a symbolic link, and may lead out of the mount`,
    remedy: 'include it where no link is on the way, or remove the link',
  });
}

/** Where it would be a device of the host too. */
export function deviceError({ source, target }: Entry): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'include-device',
    message: `${source} is a device, and would be one on the host too, for everybody who can get at ${target} there`,
    remedy: 'include it into a ram or host-image mount, or leave it out',
  });
}
