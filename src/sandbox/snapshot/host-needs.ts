/**
 * What a host must have for a snapshot that was made on another: its own programs and processor, in words and by
 * content. Files of programs have another identity on each host, and after each reinstallation.
 */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { HostNeed, SnapshotRecord } from '../../image/snapshot/record.js';
import { isSystemError, valueOr } from '../../util/errors.js';
import { findQemu } from '../../util/programs.js';
import { changedFacts, driverFile, PROCESSOR_FACT, processorLines, RATE_FACT, rate, rateText } from './host.js';

/** The facts of the host that are files, and where these are. */
const FILES: Readonly<Record<string, () => string | undefined>> = { QEMU: findQemu, libvirt: driverFile };

/** How a need is called that is a program: a version, if it says one. */
const VERSION = /version (\d[\w.]*)/;

/** What another host must have, by the name of its fact: see `snapshotHost`. This runs QEMU, which says its version. */
export async function hostNeeds(): Promise<Record<string, HostNeed>> {
  const [qemu, driver, counter] = [findQemu(), driverFile(), rateText(rate())];
  return {
    ...(qemu ? { QEMU: { text: `QEMU ${await qemuVersion(qemu)}`, sha256: await digestOf(qemu) } } : {}),
    ...(driver ? { libvirt: { text: `libvirt ${libvirtVersion(driver)}`, sha256: await digestOf(driver) } } : {}),
    [PROCESSOR_FACT]: { text: processorText() },
    ...(counter === undefined ? {} : { [RATE_FACT]: { text: counter } }),
  };
}

/** Names of the facts that differ from those of this host; a file of another identity and the same content does not. */
export async function changedHost(
  { host, needs = {} }: Pick<SnapshotRecord, 'host' | 'needs'>,
  now: Readonly<Record<string, string>>,
): Promise<string[]> {
  const changed: string[] = [];
  for (const name of changedFacts(host, now)) if (!(await hasContent(name, needs[name]))) changed.push(name);
  return changed;
}

async function hasContent(name: string, need: HostNeed | undefined): Promise<boolean> {
  const path = FILES[name]?.();
  if (path === undefined || need?.sha256 === undefined) return false;
  try {
    return (await digestOf(path)) === need.sha256;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return false;
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}

async function qemuVersion(path: string): Promise<string> {
  const { execa } = await import('execa');
  const { stdout } = await execa(path, ['--version'], { reject: false, stdin: 'ignore', stderr: 'ignore' });
  return VERSION.exec(stdout)?.[1] ?? 'of an unknown version';
}

/** The library of a driver in DIRECTORY/libvirt/connection-driver is DIRECTORY/libvirt.so.0, a link to its version. */
function libvirtVersion(driver: string): string {
  const library = join(dirname(driver), '../../libvirt.so.0');
  const [, major, release] = /\.so\.0\.(\d+)\.(\d+)$/.exec(valueOr(() => realpathSync(library), '')) ?? [];
  if (major === undefined) return 'of an unknown version';
  // 11003 is 11.3: https://libvirt.org/html/libvirt-libvirt-host.html#LIBVIR_VERSION_NUMBER
  return `${Math.floor(Number(major) / 1000)}.${Number(major) % 1000}.${release}`;
}

/** `AMD EPYC 9R14, family 25, model 17, stepping 1, with the same 112 features`. */
function processorText(): string {
  const lines = processorLines(readFileSync('/proc/cpuinfo', 'latin1'));
  const value = (name: string) => lines.find((line) => line.startsWith(name))?.replace(/^[^:]*:\s*/, '') ?? '?';
  const features = value('flags').split(' ').length;
  const [family, model, stepping] = [value('cpu family'), value('model\t'), value('stepping')];
  return `${value('model name')}, family ${family}, model ${model}, stepping ${stepping}, with the same ${features} features`;
}
