/** Module trees for tests. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FORMATS } from '../../src/compression/formats.js';
import { noise, type Packer, packWith } from './kernel-files.js';

/** A file that looks like a module of kernel `version`: ELF with a vermagic, then a signature. */
export function makeModule(name: string, version: string, size = 3000): Buffer {
  const body = noise(size, name);
  body.write(`\0vermagic=${version} SMP preempt mod_unload modversions \0name=${name}\0`, 200, 'latin1');
  body.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  body.writeUInt16LE(1, 16);
  body.writeUInt16LE(62, 18);
  body.writeBigUInt64LE(BigInt(size - 128), 40);
  body.writeUInt16LE(64, 58);
  body.writeUInt16LE(2, 60);
  return Buffer.concat([body, Buffer.from('signature bytes~Module signature appended~\n')]);
}

export interface TreeOptions {
  readonly version: string;
  /** By path (below kernel/, without compression): names of the needed modules, in the order of modules.dep. */
  readonly modules?: Readonly<Record<string, readonly string[]>>;
  readonly builtin?: readonly string[];
  readonly softdep?: string;
  readonly weakdep?: string;
  readonly alias?: string;
  /** Paths (below kernel/, without compression) of modules.order. */
  readonly order?: readonly string[];
  /** Records of modules.builtin.modinfo. */
  readonly modinfo?: readonly string[];
  readonly packer?: ModulePacker;
}

/** No modules are packed with lzo. */
type ModulePacker = Exclude<Packer, 'lzo'>;

/** Writes a module tree at `directory`/VERSION and returns its path. */
export function writeModuleTree(directory: string, options: TreeOptions): string {
  const tree = join(directory, options.version);
  const packer = options.packer ?? 'none';
  const ending = packer === 'none' ? '' : FORMATS[packer].ending;
  const modules = options.modules ?? {};
  const pathOf = (name: string): string => {
    const path = Object.keys(modules).find((key) => key.endsWith(`/${name}.ko`));
    return path === undefined ? `kernel/absent/${name}.ko${ending}` : `kernel/${path}${ending}`;
  };
  mkdirSync(tree, { recursive: true });
  for (const path of Object.keys(modules)) {
    const file = join(tree, `kernel/${path}${ending}`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, packWith(packer, makeModule(path, options.version)));
  }
  const dep = Object.entries(modules).map(
    ([path, needs]) => `kernel/${path}${ending}:${needs.map((name) => ` ${pathOf(name)}`).join('')}\n`,
  );
  writeFileSync(join(tree, 'modules.dep'), dep.join(''));
  writeFileSync(join(tree, 'modules.builtin'), (options.builtin ?? []).map((path) => `kernel/${path}\n`).join(''));
  const write = (name: string, text: string | undefined): void => {
    if (text !== undefined) writeFileSync(join(tree, name), text);
  };
  write('modules.softdep', options.softdep);
  write('modules.weakdep', options.weakdep);
  write('modules.alias', options.alias);
  write('modules.order', options.order?.map((path) => `kernel/${path}\n`).join(''));
  write('modules.builtin.modinfo', options.modinfo?.map((record) => `${record}\0`).join(''));
  return tree;
}

/** The modules of a kernel for the sets `console` and `root-9p`. */
export const NINEP_TREE = {
  modules: {
    'fs/netfs/netfs.ko': [],
    'net/9p/9pnet.ko': ['netfs'],
    'net/9p/9pnet_virtio.ko': ['9pnet', 'netfs'],
    'fs/9p/9p.ko': ['9pnet', 'netfs'],
  },
  builtin: ['drivers/virtio/virtio_pci.ko', 'drivers/char/virtio_console.ko'],
} as const;
