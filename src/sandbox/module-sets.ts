/** Which of kmods/ a sandbox needs. Every module costs time at boot, so one that is not needed is not loaded. */
import type { SandboxConfig } from '../config/types.js';

export function moduleSets(config: SandboxConfig): string[] {
  const { disks, mounts, networks } = config;
  const sets = ['console', 'root-9p'];
  if (disks.length > 0 || mounts.some(({ type }) => type === 'host-image')) sets.push('block');
  if (networks.length > 0) sets.push('network');
  return sets;
}

/** The sets of an image that serves other sandboxes too. Another root than the usual one takes its place. */
export function moduleSetsWith(sets: readonly string[], more: readonly string[]): string[] {
  const otherRoot = more.some((name) => name.startsWith('root-') && !sets.includes(name));
  const kept = sets.filter((name) => !otherRoot || !name.startsWith('root-'));
  return [...new Set([...kept, ...more])];
}
