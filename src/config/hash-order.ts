/**
 * The order of GLib's hash tables. libvirt-sandbox keeps includes and variables in them, and writes them in that order.
 */

/**
 * `values` as a GHashTable lists them after they were inserted one by one. Of values with the same key the last is
 * kept.
 * @param keyOf the key that a value is inserted under
 */
export function tableOrder<T>(values: readonly T[], keyOf: (value: T) => string): readonly T[] {
  const byKey = new Map(values.map((value) => [keyOf(value), value]));
  const order = new Map(hashOrder([...byKey.keys()]).map((key, index) => [key, index]));
  return [...byKey].sort(([a], [b]) => (order.get(a) ?? 0) - (order.get(b) ?? 0)).map(([, value]) => value);
}

/**
 * A table has 2^N slots. GLib takes the hash modulo the largest prime below 2^N (GHashTable of GLib 2.60 and later).
 */
const PRIMES: readonly number[] = [
  ...[1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749],
  ...[65_521, 131_071, 262_139, 524_287, 1_048_573],
];
const LEAST_SHIFT = 3;

/**
 * The order in which a GHashTable lists `keys` after they were inserted one by one. They must differ. {@link PRIMES}
 * are enough for the longest command line.
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
    // Every key moves to its new slot. A key that still waits there moves on next.
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

/** g_str_hash: Bernstein's hash of the bytes, which are signed. 0 and 1 mark empty slots. */
function stringHash(text: string): number {
  let hash = 5381;
  for (const byte of Buffer.from(text)) hash = (Math.imul(hash, 33) + ((byte << 24) >> 24)) >>> 0;
  return Math.max(hash, 2);
}
