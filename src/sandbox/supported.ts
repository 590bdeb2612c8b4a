/** What a config may say and this version cannot do. Nothing that was asked for is left out in silence. */
import type { SandboxConfig } from '../config/types.js';
import { SandboxError } from '../errors.js';

/**
 * @throws {SandboxError} `not-supported`
 */
export function refuseUnsupported(config: SandboxConfig): void {
  const asked: readonly (readonly [boolean, string])[] = [[config.service !== undefined, 'a service']];
  const refused = asked.filter(([wanted]) => wanted).map(([, what]) => what);
  if (refused.length === 0) return;
  throw new SandboxError({
    stage: 'config',
    code: 'not-supported',
    message: `this version cannot do what was asked for: ${refused.join(', ')}`,
    remedy: 'leave it out',
  });
}
