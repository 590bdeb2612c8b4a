/** Module sets (kmods/) that a sandbox needs. Every module costs time at boot, so no other is loaded. */
import type { Devices } from '../devices/devices.js';

export function moduleSets({
  shares,
  disks,
  interfaces,
  screen,
  hasSound,
  mounts,
  guest: { overlay },
}: Devices): string[] {
  const sets = ['console'];
  if (shares.some(({ transport }) => transport === '9p')) sets.push('root-9p');
  if (shares.some(({ transport }) => transport === 'virtiofs')) sets.push('root-virtiofs');
  if (disks.length > 0) sets.push('block');
  const filesystems = new Set<string>(
    mounts.flatMap(({ guest }) => (guest.type === 'image' ? [guest.filesystem] : [])),
  );
  if (overlay?.type === 'image') filesystems.add('ext4');
  sets.push(...[...filesystems].sort().map((name) => `filesystem-${name}`));
  if (interfaces.length > 0) sets.push('network');
  if (screen !== undefined) sets.push('graphics');
  if (hasSound) sets.push('sound');
  if (overlay !== undefined) sets.push('overlay');
  return sets;
}

/** The sets of an image with `more` sets. Another root set among them replaces the usual one. */
export function moduleSetsWith(sets: readonly string[], more: readonly string[]): string[] {
  const otherRoot = more.some((name) => name.startsWith('root-') && !sets.includes(name));
  const kept = sets.filter((name) => !otherRoot || !name.startsWith('root-'));
  return [...new Set([...kept, ...more])];
}
