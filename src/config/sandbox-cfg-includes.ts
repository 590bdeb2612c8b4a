/** The includes of sandbox.cfg as libvirt-sandbox writes them: their paths below the mount, in the order of GLib's hash table. */
import { covers, placeOf } from './path.js';
import type { Include } from './types.js';

/**
 * The path of an include below its mount, as `dst` has it: what follows the mount's target. It begins with `/` unless the target ends with one.
 * @param target where the include goes, inside; the mount covers it
 */
export function pathBelow(mount: string, target: string): string {
  const below = target.slice(mount.length);
  if (target.startsWith(mount) && (mount.endsWith('/') || below === '' || below.startsWith('/'))) return below;
  // Two spellings of one place have only their meaning in common.
  const place = placeOf(target).slice(placeOf(mount) === '/' ? 0 : placeOf(mount).length);
  return mount.endsWith('/') ? place.slice(1) : place;
}

/** The opposite of {@link pathBelow}. */
export function pathFromBelow(mount: string, below: string): string {
  return below === '' || below.startsWith('/') || mount.endsWith('/') ? mount + below : `${mount}/${below}`;
}

/**
 * The includes in the order in which libvirt-sandbox writes them. Where the order means something, because one goes into or over another, it
 * stays; so it does where reading the file and writing it again would change it once more.
 */
export function writingOrder(mount: string, includes: readonly Include[]): readonly Include[] {
  const byPath = new Map(includes.map((include) => [pathBelow(mount, include.target), include]));
  const overlap = includes.some((one, index) =>
    includes.some((other, at) => at !== index && covers(one.target, other.target)),
  );
  if (overlap) return includes;
  const order = hashOrder([...byPath.keys()]);
  if (hashOrder(order).some((path, index) => path !== order[index])) return includes;
  return order.flatMap((path) => byPath.get(path) ?? []);
}

/** A table has 2^N slots; GLib takes the hash modulo the largest prime below (GHashTable of GLib 2.60 and later). */
const PRIMES: readonly number[] = [1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749];
const LEAST_SHIFT = 3;

/**
 * Different strings in the order in which a GHashTable lists them that they were put into one after the other.
 * A table that is too full for {@link PRIMES} does not exist: sandbox.cfg has at most 1024 includes a mount.
 */
export function hashOrder(keys: readonly string[]): readonly string[] {
  let shift = LEAST_SHIFT;
  const slots: (string | undefined)[] = Array(1 << shift).fill(undefined);
  const probe = (key: string, taken: (slot: number) => boolean): number => {
    let slot = (Math.imul(stringHash(key), 11) >>> 0) % (PRIMES[shift] ?? 1);
    for (let step = 1; taken(slot); step += 1) slot = (slot + step) & ((1 << shift) - 1);
    return slot;
  };
  for (const [index, key] of keys.entries()) {
    slots[probe(key, (slot) => slots[slot] !== undefined)] = key;
    const count = index + 1;
    if (1 << shift > count + (count >> 4)) continue;
    const before = slots.length;
    shift = Math.trunc(count * 1.333).toString(2).length;
    while (slots.length < 1 << shift) slots.push(undefined);
    // Every key moves to its new slot, and pushes on the one that still waits there.
    const settled = new Set<number>();
    for (let from = 0; from < before; from += 1) {
      if (settled.has(from)) continue;
      let moving = slots[from];
      slots[from] = undefined;
      while (moving !== undefined) {
        const slot = probe(moving, (taken) => settled.has(taken));
        settled.add(slot);
        [moving, slots[slot]] = [slots[slot], moving];
      }
    }
  }
  return slots.filter((key) => key !== undefined);
}

/** g_str_hash: Bernstein's hash of the bytes, which are signed; 0 and 1 mark empty slots. */
function stringHash(text: string): number {
  let hash = 5381;
  for (const byte of Buffer.from(text)) hash = (Math.imul(hash, 33) + ((byte << 24) >> 24)) >>> 0;
  return Math.max(hash, 2);
}
