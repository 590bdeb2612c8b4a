/** The kernels that are installed here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Versions with an image and a module tree, newest last. */
function installed(): string[] {
  if (!existsSync('/lib/modules')) return [];
  return readdirSync('/lib/modules')
    .filter((version) => existsSync(`/boot/vmlinuz-${version}`) && existsSync(`/lib/modules/${version}/modules.dep`))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

function hasNineP(version: string): boolean {
  return ['modules.dep', 'modules.builtin'].some((file) =>
    readFileSync(join('/lib/modules', version, file), 'utf8').includes('fs/9p/9p.ko'),
  );
}

/** The newest kernel that can mount a 9p root, and the newest that cannot. */
export const servingKernel = installed().filter(hasNineP).at(-1);
export const lackingKernel = installed()
  .filter((version) => !hasNineP(version))
  .at(-1);

export const unlessServingKernel = servingKernel === undefined ? 'no kernel with 9p is installed' : false;
export const unlessLackingKernel = lackingKernel === undefined ? 'no kernel without 9p is installed' : false;
