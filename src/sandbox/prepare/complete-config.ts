/** Adds the defaults to what a program has given. */
import { defaultConfig, NO_TUNING } from '../../config/defaults.js';
import { callerIdentity, rootIdentity } from '../../config/identity.js';
import type { SandboxConfig } from '../../config/types.js';
import { defined } from '../../util/records.js';
import type { PartialConfig } from '../types.js';

export async function completeConfig(wanted: PartialConfig): Promise<SandboxConfig> {
  const identity = wanted.identity ?? (await (wanted.privileged ? rootIdentity() : callerIdentity()));
  const given = defined(wanted);
  return { ...defaultConfig(identity), ...given, tuning: { ...NO_TUNING, ...defined(wanted.tuning) } };
}
