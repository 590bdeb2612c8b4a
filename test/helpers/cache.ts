/**
 * Caches of their own, for tests that must not share a store of images. What takes seconds to find out about this host
 * is known in them: what QEMU can do, and whether KVM runs a guest.
 */
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { defaultStoreDirectory } from '../../src/image/store/store.js';

/** A new directory for XDG_CACHE_HOME, which other users can enter. Remove it with {@link removeCache}. */
export function makeCache(): string {
  const directory = mkdtempSync(join(tmpdir(), 'vs-cache-'));
  chmodSync(directory, 0o755);
  copyFacts(join(directory, 'virt-sandbox'));
  return directory;
}

export function removeCache(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/** Copies what the shared cache knows about this host. @param directory the part of a cache that is virt-sandbox's */
export function copyFacts(directory: string): void {
  copy('kvm.json', directory);
  copy('libvirt/qemu', directory);
}

/** Copies what libvirt knows about QEMU. @param cache a user's cache, which that user's libvirtd also uses */
export function copyCapabilities(cache: string): void {
  copy('libvirt/qemu', cache);
}

function copy(name: string, directory: string): void {
  const known = join(dirname(defaultStoreDirectory()), name);
  // A file that somebody is just writing has another name until it is whole.
  const filter = (from: string) => !/\.xml\.[^/]+$/.test(from);
  if (existsSync(known)) cpSync(known, join(directory, name), { recursive: true, filter });
}
