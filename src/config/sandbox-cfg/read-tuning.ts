/** The limits of sandbox.cfg. */
import { parseCpuPin, parseCpuShares, parseDiskLimit, parseNetworkLimit } from '../parsers/tuning.js';
import type { Tuning } from '../types.js';
import type { KeyFile } from './keyfile.js';
import { Section } from './section.js';

/** The limits, read by the parsers of the options that set them: one parser for both. */
export function readTuning(file: KeyFile): Tuning {
  const section = new Section(file, 'tuning');
  const shares = section.text('cpushares');
  const pin = section.text('cpupin');
  return {
    cpuShares: shares === undefined ? undefined : parseCpuShares(shares),
    cpuPin: pin === undefined ? [] : parseCpuPin(pin),
    diskLimits: Section.numbered(file, 'tuning.disk').map((disk) => {
      const { limits } = parseDiskLimit(`-:${assignments(disk, 'tag')}`);
      return { tag: disk.need('tag'), limits };
    }),
    networkLimits: Section.numbered(file, 'tuning.network').map((network) =>
      parseNetworkLimit(`${network.need('index')}:${assignments(network, 'index')}`),
    ),
  };
}

/** The keys of a group except `name`, in the syntax of the option. */
function assignments(section: Section, name: string): string {
  const keys = section.file.keys(section.group).filter((key) => key !== name);
  return keys.map((key) => `${key}=${section.need(key)}`).join(',');
}
