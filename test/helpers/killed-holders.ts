/** Processes that hold a service which runs, each to be killed alone. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { childrenOf } from './children.js';
import { processesWith } from './leftovers.js';
import { LIVES, type TestService } from './services.js';

/** A shell behind this does not end when it is asked to, but after the time that it may take. */
export const DEAF = 'trap "" TERM';

/** What it stays with. */
export const STAYS = 'while :; do sleep 0.2; done';

/** That time, in milliseconds: what is to be killed meanwhile is there until then, however busy the machine is. */
export const STUBBORN_KEYS = { stoptimeout: 5000 };

const HOLDERS = {
  machine: ['holder', 'supervisor', 'virt-qemu-run', 'qemu-system'],
  container: ['holder', 'supervisor', 'libvirt_lxc', 'init'],
} as const;

/** What each of them is called here. */
export type Holder = (typeof HOLDERS)[keyof typeof HOLDERS][number];

/** @returns what each is, and its process ID */
export async function holdersOf(service: TestService): Promise<Map<string, number>> {
  const { pid: holder = 0 } = await service.status();
  const [supervisor = 0] = childrenOf(holder, 'supervisor');
  const isContainer = service.way.uri === 'lxc:///';
  const pids = isContainer ? containerOf(service.name) : machineOf(supervisor);
  const found = new Map([['holder', holder], ['supervisor', supervisor], ...pids]);
  assert.deepEqual([...found.keys()], HOLDERS[isContainer ? 'container' : 'machine']);
  for (const [what, pid] of found) assert.ok(pid > 0, `it has no ${what}`);
  return found;
}

function machineOf(supervisor: number): [string, number][] {
  return ['virt-qemu-run', 'qemu-system'].map((what) => [what, childrenOf(supervisor, what)[0] ?? 0]);
}

/** The daemon has started it. */
function containerOf(name: string): [string, number][] {
  const line = processesWith(name).find((one) => /^\d+ \S*libvirt_lxc /.test(one)) ?? '';
  const controller = Number.parseInt(line, 10) || 0;
  return [
    ['libvirt_lxc', controller],
    // libvirt_lxc may still wait for a program of its own.
    ['init', childrenOf(controller, 'init')[0] ?? 0],
  ];
}

/** What is on record of its life. */
export function recordOfLife(name: string): { readonly owner: string; readonly phase: string } {
  return JSON.parse(readFileSync(join(LIVES, name, 'service.json'), 'utf8'));
}
