/** The limits of sandbox.cfg. */
import { parseCpuPeriod, parseCpuQuota, parseCpuScheduler } from '../parsers/cpu-time.js';
import { MOST_MEMORY_LIMIT, parseHugePages } from '../parsers/memory-tuning.js';
import { parseNumaNode, parseNumaNodes } from '../parsers/numa.js';
import { KIB } from '../parsers/size.js';
import {
  parseBlockWeight,
  parseCpuPin,
  parseCpuShares,
  parseDiskLimit,
  parseIoThreads,
  parseNetworkLimit,
} from '../parsers/tuning.js';
import type { NumaNode, Tuning } from '../types.js';
import type { KeyFile } from './keyfile.js';
import { Section } from './section.js';

/** The limits, read by the parsers of the options that set them: one parser for both. Only sizes are bytes here. */
export function readTuning(file: KeyFile): Tuning {
  const section = new Section(file, 'tuning');
  const read = <T>(key: string, parse: (text: string) => T): T | undefined => {
    const text = section.text(key);
    return text === undefined ? undefined : parse(text);
  };
  return {
    cpuShares: read('cpushares', parseCpuShares),
    cpuPin: read('cpupin', parseCpuPin) ?? [],
    cpuQuota: read('cpuquota', parseCpuQuota),
    cpuPeriod: read('cpuperiod', parseCpuPeriod),
    cpuScheduler: read('cpuscheduler', parseCpuScheduler),
    numa: Section.numbered(file, 'tuning.numa').map(readNumaNode),
    numaNodes: read('numanodes', parseNumaNodes),
    memoryLimit: section.whole('memorylimit', 1, MOST_MEMORY_LIMIT),
    memorySoftLimit: section.whole('memorysoftlimit', 1, MOST_MEMORY_LIMIT),
    memorySwapLimit: section.whole('memoryswaplimit', 1, MOST_MEMORY_LIMIT),
    hugePages: readHugePages(section),
    blockWeight: read('blockweight', parseBlockWeight),
    ioThreads: read('iothreads', parseIoThreads),
    diskLimits: Section.numbered(file, 'tuning.disk').map((disk) => {
      const { limits } = parseDiskLimit(`-:${assignments(disk, 'tag')}`);
      return { tag: disk.need('tag'), limits };
    }),
    networkLimits: Section.numbered(file, 'tuning.network').map((network) =>
      parseNetworkLimit(`${network.need('index')}:${assignments(network, 'index')}`),
    ),
  };
}

function readNumaNode(section: Section): NumaNode {
  const hosts = section.text('hostnodes');
  const text = `${section.need('node')}:cpus=${section.need('cpus')}${hosts === undefined ? '' : `,host=${hosts}`}`;
  return { ...parseNumaNode(text), memory: section.whole('memory', 1, MOST_MEMORY_LIMIT) };
}

function readHugePages(section: Section): Tuning['hugePages'] {
  if (section.text('hugepages') === 'default') return 'default';
  const bytes = section.whole('hugepages', 1, MOST_MEMORY_LIMIT);
  return bytes === undefined ? undefined : parseHugePages(`${bytes / KIB}K`);
}

/** The keys of a group except `name`, in the syntax of the option. */
function assignments(section: Section, name: string): string {
  const keys = section.file.keys(section.group).filter((key) => key !== name);
  return keys.map((key) => `${key}=${section.need(key)}`).join(',');
}
