/** QEMU's command line for a sandbox, as libvirt writes it. */
import { execFileSync } from 'node:child_process';
import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootServerIn } from '../../sandbox/devices/root-server.js';
import { hostProgram } from '../../util/programs.js';
import { splitCommandLine } from './qemu-argv.js';

interface NativeOptions {
  /** virt-sandbox. */
  readonly program: string;
  /** Of a libvirt that gives the command line away. */
  readonly uri: string;
  /** A directory to work in. */
  readonly scratch: string;
  /** Added to this process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * @param options of virt-sandbox
 * @throws {Error} if virt-sandbox or virsh fails
 */
export function nativeArgv(
  { program, uri, scratch, environment }: NativeOptions,
  options: readonly string[],
): string[] {
  const env = { ...process.env, ...environment };
  const xml = join(scratch, 'domain.xml');
  const domain = execFileSync(program, ['--print-xml', ...options, '--', '/bin/true'], { encoding: 'utf8', env });
  writeFileSync(xml, domain.replaceAll(/<binary path="[^"]*"/g, `<binary path="${linkedServer(scratch)}"`));
  const words = ['-q', '-c', uri, 'domxml-to-native', 'qemu-argv', xml];
  return splitCommandLine(execFileSync('virsh', words, { encoding: 'utf8' }));
}

/**
 * What serves shares, by a name by which it answers what it can. libvirt asks what it would start, and the links that a
 * sandbox has of it are made at its start.
 */
function linkedServer(scratch: string): string {
  const { program = '' } = rootServerIn(scratch, { isFlat: false, isAhead: false });
  rmSync(program, { force: true });
  symlinkSync(hostProgram('share-server'), program);
  return program;
}
