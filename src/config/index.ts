/** What a sandbox is, and how it is read and written. */
export { parseAcceleration } from './acceleration.js';
export { DEFAULT_BOOT_TIMEOUT, DEFAULT_MEMORY, DEFAULT_SECURITY, defaultConfig, NO_TUNING } from './defaults.js';
export { parseDisk } from './disk.js';
export { environmentRecord, parseEnv } from './env.js';
export { checkHost } from './host-check.js';
export { callerIdentity, groupsOf, HOST_USERS, rootIdentity, type UserDatabase, userIdentity } from './identity.js';
export { attachIncludes, parseInclude, readIncludeFile } from './include.js';
export { parseMount } from './mount.js';
export { parseNetwork } from './network.js';
export { parseSeconds, parseWhole } from './number.js';
export { type ConfigOptions, configFromOptions } from './options.js';
export { covers, placeOf } from './path.js';
export {
  formatSandboxCfg,
  type LoadOptions,
  loadSandboxCfg,
  parseSandboxCfg,
  type SaveOptions,
  saveSandboxCfg,
} from './sandbox-cfg.js';
export { parseSecurity } from './security.js';
export { GIB, KIB, MIB, parseMemory, parseSize } from './size.js';
export { DISK_LIMITS, formatCpuSet, parseCpuPin, parseCpuShares, parseDiskLimit, parseNetworkLimit } from './tuning.js';
export type * from './types.js';
export { checkName, validateConfig } from './validate.js';
