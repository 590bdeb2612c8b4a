/** A snapshot with the common init in the guest, shared by the files that test such machines. */
import { ACCEL } from './acceleration.js';
import { bakeJson } from './bake.js';
import { makeCache, removeCache } from './cache.js';

/** How it is baked. Node.js starts slowly in an emulated machine. */
export const GUEST_INIT = [
  ...['-c', 'qemu:///embed', '--common-init', 'guest', '--name', 'guest-init', '--with', 'filesystem-erofs,overlay'],
  ...['--slots', 'mounts=4,disks=4,networks=2', '--for', [...ACCEL, '--boot-timeout', '120'].join(' ')],
];

export interface GuestInit {
  /** The directory of its image. */
  readonly image: string;
  /** How a sandbox starts with it. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  remove(): void;
}

/** The one that scripts/test.mjs has baked. Bakes one in a store of its own for a test file that runs by itself. */
export async function guestInit(): Promise<GuestInit> {
  const args = ['--image', 'guest-init', '--boot-timeout', '120'];
  const shared = process.env['VIRT_SANDBOX_TEST_GUEST_INIT'];
  if (shared !== undefined) return { image: shared, args, env: {}, remove: () => {} };
  const cache = makeCache();
  const { image } = await bakeJson<{ image: string }>(cache, ['create', '--warm', ...GUEST_INIT]);
  return { image, args, env: { XDG_CACHE_HOME: cache }, remove: () => removeCache(cache) };
}
