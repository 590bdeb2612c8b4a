/** The state directory of a running sandbox, which may be of another user. */
import { constants, openSync } from 'node:fs';
import { openBelow } from '../sandbox/state/open-below.js';
import type { RunningSandbox } from '../sandbox/state/running.js';

/** Opens the state directory of a sandbox, without following a link below another user's home. */
export function openState({ stateDirectory, user }: RunningSandbox): number {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  if (user === undefined) return openSync(stateDirectory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return openBelow(user.uid, user.home, user.below);
}
