/** Temporary directories for tests, and reasons to skip a test here. */
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Where there are extended attributes. A tmpfs has `user.*` since Linux 6.6 only. */
export const WITH_ATTRIBUTES = '/var/tmp';

/** A new directory that other users may enter. The caller removes it. */
export function freshDirectory(above = tmpdir()): string {
  const directory = mkdtempSync(join(above, 'virt-sandbox-test-'));
  chmodSync(directory, 0o755);
  return directory;
}

/** The same, but removed after the test. */
export function scratchDirectory(context: Pick<TestContext, 'after'>, above = tmpdir()): string {
  const directory = freshDirectory(above);
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The two kernels of Debian 13 that the tests know: the first has 9p as a module, the second does not have 9p. */
export const DEBIAN_KERNEL = '6.12.118+deb13-amd64';
export const DEBIAN_CLOUD_KERNEL = '6.12.118+deb13-cloud-amd64';

export function installedKernelPath(version: string): string {
  return `/boot/vmlinuz-${version}`;
}

/** A reason to skip, or false if the kernels and their modules are installed. */
export function unlessInstalled(...versions: string[]): string | false {
  const missing = versions.filter(
    (version) => !existsSync(installedKernelPath(version)) || !existsSync(`/lib/modules/${version}/modules.dep`),
  );
  return missing.length === 0 ? false : `kernel ${missing.join(' and ')} is not installed`;
}

/** A reason to skip, or false if the test runs as root. */
export function unlessRoot(why: string): string | false {
  return process.geteuid?.() === 0 ? false : `needs root: ${why}`;
}
