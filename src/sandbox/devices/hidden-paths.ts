/** What a sandbox does not see of its root. */
import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { GuestHidden } from '../../../init/common/config.js';
import { SECRETS } from '../../config/secrets.js';
import type { SandboxConfig } from '../../config/types.js';
import { valueOr } from '../../util/errors.js';

/** Those that are there, for a container, where the common init covers them. */
export function coveredPaths(config: SandboxConfig): GuestHidden[] {
  return hiddenPaths(config).flatMap((path) => {
    const found = valueOr(() => statSync(join(config.root, path), { throwIfNoEntry: false }), undefined);
    return found === undefined ? [] : [{ path, isDirectory: found.isDirectory() }];
  });
}

/** Absolute paths inside. They need not exist. */
export function hiddenPaths({ hidden, identity }: Pick<SandboxConfig, 'hidden' | 'identity'>): string[] {
  // The caller's, also where the sandbox runs as another user.
  const homes = new Set([identity.home, homedir()].filter((home) => isAbsolute(home)));
  const secrets = hidden.secrets ? [...homes].flatMap((home) => SECRETS.map((name) => join(home, name))) : [];
  return [...secrets, ...hidden.paths];
}
