/** The grammar of --hide. */
import { argumentError, quote } from '../errors.js';
import { normalizePath } from '../path.js';
import type { Hidden } from '../types.js';

const SHOW_SECRETS = 'none';

/**
 * Adds values of --hide: absolute paths inside, and `none`, which shows where keys are.
 * @throws SandboxError `hide-not-absolute`, `hide-root`
 */
export function parseHide(values: readonly string[], from: Hidden): Hidden {
  const paths = values.filter((value) => value !== SHOW_SECRETS);
  for (const path of paths) checkHidden(path);
  return { secrets: from.secrets && paths.length === values.length, paths: [...from.paths, ...paths] };
}

function checkHidden(path: string): void {
  if (normalizePath(path) === '/') {
    throw argumentError('hide-root', '--hide / would leave nothing to see', 'hide what is below it, or give a --root');
  }
  if (path.startsWith('/')) return;
  throw argumentError(
    'hide-not-absolute',
    `--hide ${quote(path)} is not an absolute path`,
    'write a path that begins with /, or none to show where keys are',
  );
}
