/** What a sandbox is like from inside. One start tells many facts, one a line. */

import assert from 'node:assert/strict';
import type { Way } from './connections.js';
import { runSandbox } from './run.js';

/** Each fact is a shell command; its first line, or what it fails with, is the answer. */
export type Facts = Readonly<Record<string, string>>;

/** Asks for all of `facts` in one sandbox. */
export async function askInside<T extends Facts>(
  way: Way,
  args: readonly string[],
  facts: T,
): Promise<Record<keyof T, string>> {
  const script = Object.values(facts)
    .map((command) => `printf '%s\\n' "$( { ${command} ; } 2>&1 | head -n 1)"`)
    .join('\n');
  const { code, out, stderr } = await runSandbox(['-c', way.uri, ...args, '--', 'sh', '-c', script], way.options);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  const answers = out.split('\n');
  return Object.fromEntries(Object.keys(facts).map((name, index) => [name, answers[index] ?? ''])) as Record<
    keyof T,
    string
  >;
}

/** The sets of capabilities of a process. */
export const CAPABILITIES = {
  inheritable: 'grep CapInh /proc/self/status',
  permitted: 'grep CapPrm /proc/self/status',
  effective: 'grep CapEff /proc/self/status',
  bounding: 'grep CapBnd /proc/self/status',
  ambient: 'grep CapAmb /proc/self/status',
} as const;

export function assertCapabilities(found: Record<keyof typeof CAPABILITIES, string>, has: 'none' | 'all'): void {
  for (const line of [found.permitted, found.effective, found.bounding]) {
    const value = BigInt(`0x${line.split('\t')[1]}`);
    // CAP_SETPCAP, and the highest that the guest's kernel knows, are those that only a full set has.
    if (has === 'all') assert.ok(value >= (1n << 41n) - 1n && (value & (1n << 8n)) !== 0n, line);
    else assert.equal(value, 0n, line);
  }
  assert.match(found.inheritable, /\t0{16}$/);
  if (has === 'none') assert.match(found.ambient, /\t0{16}$/);
}
