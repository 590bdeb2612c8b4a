/** What the host has of huge pages: Documentation/admin-guide/mm/hugetlbpage.rst of the kernel. */

import { readdirSync } from 'node:fs';
import { numaMemory } from '../../config/parsers/numa.js';
import { formatNumberSet } from '../../config/parsers/number-set.js';
import { hugePagesMisfit } from '../../config/tuning-check.js';
import type { SandboxConfig, Tuning } from '../../config/types.js';
import { SandboxError, valueOr } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { readIfThere } from '../../util/small-files.js';
import { hugePageSize } from '../devices/huge-page-size.js';

const POOLS = '/sys/kernel/mm/hugepages';

/**
 * Refuses huge pages that the host lacks: QEMU would end with a message about memory.
 * @throws {SandboxError} `huge-pages-unknown` for a size that the host does not have, `huge-pages-misfit`,
 *   `huge-pages-missing`
 */
export function checkHugePagesHere({ tuning, memory }: SandboxConfig): void {
  const { hugePages } = tuning;
  if (hugePages === undefined) return;
  const size = hugePageSize(hugePages);
  const sizes = valueOr(() => readdirSync(POOLS), []).map((name) => Number(/\d+/.exec(name)?.[0]) * 1024);
  if (size === undefined || !sizes.includes(size)) {
    throw refusal(
      'huge-pages-unknown',
      `this host has no huge pages${size === undefined ? '' : ` of ${text(size)}`}`,
      sizes.length === 0 ? `leave ${option('tuning.hugePages')} out` : `choose one of ${sizes.map(text).join(', ')}`,
    );
  }
  for (const demand of demandsOf(tuning, memory)) checkDemand(demand, size);
}

/** Memory that comes from certain nodes; undefined: from any. */
interface Demand {
  readonly memory: number;
  readonly nodes: readonly number[] | undefined;
}

function demandsOf({ numa, numaNodes }: Tuning, memory: number): Demand[] {
  const isFirm = numaNodes?.mode === 'strict' || numaNodes?.mode === 'restrictive';
  const all: Demand = { memory, nodes: isFirm ? numaNodes.nodes : undefined };
  if (numa.every(({ hostNodes }) => hostNodes === undefined)) return [all];
  const sizes = numaMemory(numa, memory);
  const each = numa.map(
    ({ hostNodes }, index): Demand => ({ memory: sizes[index] ?? 0, nodes: hostNodes ?? all.nodes }),
  );
  return [{ memory, nodes: undefined }, ...each];
}

function checkDemand({ memory, nodes }: Demand, size: number): void {
  if (memory % size !== 0) throw hugePagesMisfit(memory, size);
  const [wanted, free] = [memory / size, nodes === undefined ? freePages(size) : freePagesOn(nodes, size)];
  if (free >= wanted) return;
  const pool = nodes === undefined ? poolOf(size) : poolOn(nodes[0] ?? 0, size);
  throw refusal(
    'huge-pages-missing',
    `${option('tuning.hugePages')} takes ${wanted} pages of ${text(size)}, and this host has ${free} free` +
      (nodes === undefined ? '' : ` on node ${formatNumberSet(nodes)}`),
    `reserve more, as root: echo ${count(pool, 'nr') + wanted - free} > ${pool}/nr_hugepages`,
  );
}

/** Pages that nobody has or has reserved, and those that the kernel may still add. */
function freePages(size: number): number {
  const pool = poolOf(size);
  const more = Math.max(count(pool, 'nr_overcommit') - count(pool, 'surplus'), 0);
  return count(pool, 'free') - count(pool, 'resv') + more;
}

/** A node does not say which of its pages are reserved. */
function freePagesOn(nodes: readonly number[], size: number): number {
  return nodes.reduce((sum, node) => sum + count(poolOn(node, size), 'free'), 0);
}

function count(pool: string, of: 'nr' | 'nr_overcommit' | 'free' | 'resv' | 'surplus'): number {
  return Number(readIfThere(`${pool}/${of}_hugepages`) ?? 0);
}

function poolOf(size: number): string {
  return `${POOLS}/hugepages-${size / 1024}kB`;
}

function poolOn(node: number, size: number): string {
  return `/sys/devices/system/node/node${node}/hugepages/hugepages-${size / 1024}kB`;
}

function text(size: number): string {
  if (size >= 2 ** 30) return `${size / 2 ** 30}G`;
  return size >= 2 ** 20 ? `${size / 2 ** 20}M` : `${size / 1024}K`;
}

function refusal(code: string, message: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'config', code, message, remedy });
}
