/** The snapshot of a usual machine, which the test files share. */
import { embedded } from './connections.js';
import type { OrdinaryUser } from './ordinary-user.js';
import { type Baked, bakeSnapshot, privateStore, sharedSnapshot } from './snapshots.js';

/** What it keeps free. */
export const USUAL_SLOTS = { mounts: 4, disks: 4, networks: 2 } as const;

/** How it is baked: it has what each overlay needs, too. */
export const USUAL = [
  '--slots',
  `mounts=${USUAL_SLOTS.mounts},disks=${USUAL_SLOTS.disks},networks=${USUAL_SLOTS.networks}`,
  '--with',
  'overlay',
];

/** The same for sandboxes whose root is an image. */
export const USUAL_OF_IMAGES = [...USUAL, '--for', '--root docker://any'];

export interface UsualSnapshot {
  readonly baked: Baked;
  /** For sandboxes that start from it. */
  readonly env: Readonly<Record<string, string>>;
  remove(): void;
}

/** The one that scripts/test.mjs has baked. Bakes one in a store of its own for a test file that runs by itself. */
export async function usualSnapshot(): Promise<UsualSnapshot> {
  const baked = sharedSnapshot();
  if (baked !== undefined) return { baked, env: {}, remove: () => {} };
  const { env, remove } = privateStore();
  return { baked: await bakeSnapshot(['-c', embedded.uri, ...USUAL], { env }), env, remove };
}

/** The same in the store of an ordinary user, who has it already if scripts/test.mjs has baked it. */
export async function bakeUsualFor({ options }: OrdinaryUser): Promise<void> {
  if (process.env['VIRT_SANDBOX_TEST_USER_STORE'] !== undefined) return;
  await bakeSnapshot(['-c', 'qemu:///session', ...USUAL], options);
}
