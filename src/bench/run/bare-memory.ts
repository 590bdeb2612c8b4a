/** The memory of a bare QEMU that restores a snapshot. */
import { join } from 'node:path';
import { MEMORY_ID } from '../../image/snapshot/qemu-memory.js';
import { readPid } from '../../libvirt/qemu-process.js';
import type { SharingMachine } from '../../sandbox/snapshot/restore.js';
import { firstOptionIn } from '../../util/qemu-options.js';
import { isRecord, parseJson } from '../../util/records.js';
import { joinOptions, optionsOf } from './qemu-argv.js';

/** ID of the memory that libvirt defines, which no machine of a snapshot uses. */
const LIBVIRTS_ID = 'pc.ram';

/** A restored machine as it is started here. */
export interface RestoredMachine {
  readonly argv: string[];
  /** Undefined: it maps the memory of the snapshot. */
  readonly sharing: SharingMachine | undefined;
}

/**
 * Leaves out the memory that is not used, and tells whether the other has to be filled.
 * @param argv QEMU's command line as libvirt would start it
 * @param directory where QEMU writes its process ID
 */
export function withMemory([program = '', ...words]: readonly string[], directory: string): RestoredMachine {
  const options = optionsOf(words);
  const own = options.find(([option, value]) => option === '-object' && idOf(value) === MEMORY_ID);
  const kept = own && options.filter(([option, value]) => option !== '-object' || idOf(value) !== LIBVIRTS_ID);
  const argv = [program, ...joinOptions(kept ?? options)];
  if (!own?.[1]?.includes('memory-backend-memfd')) return { argv, sharing: undefined };
  const name = options.flatMap(([option, value = '']) =>
    option === '-name' ? (firstOptionIn(value, 'guest') ?? []) : [],
  );
  const file = join(directory, 'qemu.pid');
  return {
    argv: [...argv, '-pidfile', file],
    sharing: { name: name[0] ?? '', findQemu: () => readPid(file) },
  };
}

function idOf(value: string | undefined): unknown {
  const object = value?.startsWith('{') ? parseJson(value) : undefined;
  return isRecord(object) ? object['id'] : undefined;
}
