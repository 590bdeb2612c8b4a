/** A fake host for the image builder: kernel, modules, init, store. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { sha256 } from '../../src/image/manifest.js';
import type { BootImage, ImageOptions } from '../../src/image/resolve.js';
import { makeKernel } from './kernel-files.js';
import { NINEP_TREE, writeModuleTree } from './module-trees.js';
import { scratchDirectory } from './scratch.js';

export const VERSION = '6.1.0-test';
export const SETS = ['console', 'root-9p'];

export interface TestMachine {
  readonly directory: string;
  readonly kernel: string;
  readonly tree: string;
  readonly init: string;
  readonly store: string;
  readonly options: ImageOptions;
}

/** A machine with one kernel that can mount a 9p root. */
export function testMachine(context: TestContext): TestMachine {
  const directory = scratchDirectory(context);
  const boot = join(directory, 'boot');
  const modules = join(directory, 'modules');
  mkdirSync(boot);
  const kernel = join(boot, `vmlinuz-${VERSION}`);
  writeFileSync(kernel, makeKernel(VERSION));
  const tree = writeModuleTree(modules, { version: VERSION, packer: 'gzip', ...NINEP_TREE });
  const init = join(directory, 'init');
  // Any program will do: no test of the builder runs the init.
  copyFileSync('/bin/true', init);
  const store = join(directory, 'store');
  const options: ImageOptions = {
    kernel: { version: undefined, path: undefined, modulesPath: undefined },
    sets: SETS,
    nativeInit: init,
    storeDirectory: store,
    searchPaths: { release: 'none', bootDirectory: boot, modulesDirectory: modules },
  };
  return { directory, kernel, tree, init, store, options };
}

/** The names in a store: images, workspaces, and what belongs to neither. */
export function storeContents(store: string): { images: string[]; workspaces: string[]; other: string[] } {
  const names = existsSync(store) ? readdirSync(store).sort() : [];
  const images = names.filter((name) => /^[0-9a-f]{32}$/.test(name));
  const workspaces = names.filter((name) => name.startsWith('.build-'));
  const own = ['.checked', '.index', '.leases', '.names', '.outputs', ...images, ...workspaces];
  const other = names.filter((name) => !own.includes(name));
  return { images, workspaces, other };
}

/** The hash of every file of an image, by its name. */
export function imageFiles(image: Pick<BootImage, 'directory'>): Record<string, string> {
  return Object.fromEntries(
    readdirSync(image.directory)
      .sort()
      .map((name) => [name, sha256(readFileSync(join(image.directory, name)))]),
  );
}
