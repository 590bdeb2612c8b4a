/** What a sandbox does not see of its root. */
import { statSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
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
  const secrets = hidden.secrets
    ? [...homes(identity.home)].flatMap((home) => SECRETS.map((name) => join(home, name)))
    : [];
  return [...secrets, ...hidden.paths];
}

/** The home inside, and the caller's: that of the environment and that of the user database. */
export function homes(inside: string): Set<string> {
  const listed = valueOr(() => userInfo().homedir, '');
  return new Set([inside, homedir(), listed].filter((home) => isAbsolute(home) && home !== '/'));
}
