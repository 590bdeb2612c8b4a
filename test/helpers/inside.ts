/** Asks many facts about the inside of a sandbox in one start. */
import assert from 'node:assert/strict';
import type { Way } from './connections.js';
import { type RunOptions, runSandbox } from './run.js';

/** Shell commands by name. The answer is the command's output, stderr included, without the blanks around it. */
export type Facts = Readonly<Record<string, string>>;

/**
 * Asks for all of `facts` in one sandbox.
 * @param options `shell`: the shell inside; `stderr`: what the sandbox itself says, default nothing
 */
export async function ask<T extends Facts>(
  args: readonly string[],
  facts: T,
  options: RunOptions & { readonly shell?: readonly string[]; readonly stderr?: RegExp } = {},
): Promise<Record<keyof T, string>> {
  // Each command in a subshell: cd must not affect the others.
  const script = Object.values(facts)
    .map((command) => `( ${command}\n) 2>&1; printf '\\036'`)
    .join('\n');
  const { code, out, stderr } = await runSandbox([...args, '--', ...(options.shell ?? ['sh']), '-c', script], options);
  assert.equal(code, 0, stderr);
  assert.match(stderr, options.stderr ?? /^$/);
  const answers = out.split('\x1e').map((answer) => answer.trim());
  return Object.fromEntries(Object.keys(facts).map((name, index) => [name, answers[index] ?? ''])) as Record<
    keyof T,
    string
  >;
}

/** The same over a connection of connections.ts. */
export function askInside<T extends Facts>(
  way: Way,
  args: readonly string[],
  facts: T,
): Promise<Record<keyof T, string>> {
  return ask(['-c', way.uri, ...args], facts, way.options);
}

/** The capability sets of a process. */
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
    // Only a full set has CAP_SETPCAP and the highest capability of the guest's kernel.
    if (has === 'all') assert.ok(value >= (1n << 41n) - 1n && (value & (1n << 8n)) !== 0n, line);
    else assert.equal(value, 0n, line);
  }
  assert.match(found.inheritable, /\t0{16}$/);
  if (has === 'none') assert.match(found.ambient, /\t0{16}$/);
}
