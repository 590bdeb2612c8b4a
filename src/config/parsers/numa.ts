/** `--numa` and `--numa-nodes`: the nodes of the machine, and those of the host. */
import { argumentError, quote } from '../errors.js';
import type { NumaMode, NumaNode, NumaNodes } from '../types.js';
import { parseWhole } from './number.js';
import { parseNumberSet } from './number-set.js';
import { KIB, MIB, parseSize } from './size.js';
import { splitOnce } from './text.js';

/** The most nodes of a machine: MAX_NODES of QEMU. */
export const MOST_NODES = 128;

export const NUMA_MODES: readonly NumaMode[] = ['strict', 'interleave', 'preferred', 'restrictive'];

const NODE_SYNTAX = 'write NODE:cpus=LIST[,memory=SIZE][,host=LIST], such as 0:cpus=0-1,memory=256M';

const NODE_KEYS = ['cpus', 'memory', 'host'] as const;

/** Their values may have commas. */
const LISTS: readonly unknown[] = ['cpus', 'host'];

/**
 * Reads `--numa NODE:cpus=LIST[,memory=SIZE][,host=LIST]`, a node of the machine. LIST may have commas. SIZE is MiB, or
 * has a suffix.
 * @throws SandboxError `numa-invalid`, `number-invalid` for the node, what {@link parseSize} throws for the memory
 */
export function parseNumaNode(text: string): NumaNode {
  const what = `--numa ${quote(text)}`;
  const [node, list] = splitOnce(text, ':') ?? [text, ''];
  const values = nodeValues(list, what);
  const cpus = values.get('cpus');
  if (cpus === undefined) throw argumentError('numa-invalid', `${what} names no CPUs`, NODE_SYNTAX);
  const [memory, host] = [values.get('memory'), values.get('host')];
  const names = { code: 'numa-invalid', one: 'a CPU', several: 'CPUs' };
  return {
    node: parseWhole(node, `${what}, the node`, 0, MOST_NODES - 1),
    cpus: parseNumberSet(cpus, { option: `${what}, cpus`, ...names }),
    memory: memory === undefined ? undefined : parseNodeMemory(memory, `${what}, memory`),
    hostNodes:
      host === undefined
        ? undefined
        : parseNumberSet(host, { option: `${what}, host`, ...names, one: 'a node', several: 'nodes' }),
  };
}

/** The values by key, each at most once. */
function nodeValues(list: string, what: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  let last: string | undefined;
  for (const part of list.split(',')) {
    const [name, value] = splitOnce(part, '=') ?? [undefined, part];
    const known = NODE_KEYS.find((key) => key === name);
    // A list goes on after a comma.
    if (name === undefined && last !== undefined && LISTS.includes(last)) {
      values.set(last, `${values.get(last)},${value}`);
    } else if (known !== undefined && !values.has(known)) {
      values.set(known, value);
      last = known;
    } else {
      throw argumentError('numa-invalid', `${what} has ${quote(part)}, which does not belong there`, NODE_SYNTAX);
    }
  }
  return values;
}

function parseNodeMemory(text: string, option: string): number {
  // libvirt counts in KiB.
  return Math.ceil(parseSize(text, option, MIB) / KIB) * KIB;
}

/**
 * The memory of each node in bytes, in the order of `nodes`: nodes without a size get equal parts of what the others
 * leave, in whole MiB, and the last of them the rest. Negative or 0 if the others leave nothing.
 */
export function numaMemory(nodes: readonly NumaNode[], memory: number): readonly number[] {
  const given = nodes.reduce((sum, node) => sum + (node.memory ?? 0), 0);
  const open = nodes.filter((node) => node.memory === undefined);
  const part = Math.floor((memory - given) / open.length / MIB) * MIB;
  const rest = memory - given - part * (open.length - 1);
  return nodes.map((node) => node.memory ?? (node === open.at(-1) ? rest : part));
}

/**
 * Reads `--numa-nodes SET[,mode=MODE]`: the host's nodes that memory comes from. The mode is `strict` by default.
 * @throws SandboxError `numa-nodes-invalid`
 */
export function parseNumaNodes(text: string): NumaNodes {
  const [set, word] = /^(.*),mode=([^,]*)$/.exec(text)?.slice(1) ?? [text, 'strict'];
  const mode = NUMA_MODES.find((name) => name === word);
  if (mode === undefined) {
    throw argumentError(
      'numa-nodes-invalid',
      `--numa-nodes ${quote(text)} has the unknown mode ${quote(word ?? '')}`,
      `choose one of ${NUMA_MODES.join(', ')}`,
    );
  }
  const names = { option: '--numa-nodes', code: 'numa-nodes-invalid', one: 'a node', several: 'nodes' };
  return { nodes: parseNumberSet(set ?? '', names), mode };
}
