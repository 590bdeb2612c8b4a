/** Which of kmods/ a sandbox needs. Every module costs time at boot, so one that is not needed is not loaded. */
import type { SandboxConfig } from '../../config/types.js';
import type { Share } from '../../domain/shares.js';
import { disksOf, type Images } from '../devices/disks.js';

export function moduleSets(config: SandboxConfig, shares: readonly Share[], images: Images): string[] {
  const sets = ['console'];
  if (shares.some(({ transport }) => transport === '9p')) sets.push('root-9p');
  if (shares.some(({ transport }) => transport === 'virtiofs')) sets.push('root-virtiofs');
  if (disksOf(config, images).length > 0) sets.push('block');
  const filesystems = new Set([...images.values()].map(({ filesystem }) => filesystem));
  sets.push(...[...filesystems].sort().map((name) => `filesystem-${name}`));
  if (config.networks.length > 0) sets.push('network');
  return sets;
}

/** The sets of an image that serves other sandboxes too. Another root than the usual one takes its place. */
export function moduleSetsWith(sets: readonly string[], more: readonly string[]): string[] {
  const otherRoot = more.some((name) => name.startsWith('root-') && !sets.includes(name));
  const kept = sets.filter((name) => !otherRoot || !name.startsWith('root-'));
  return [...new Set([...kept, ...more])];
}
