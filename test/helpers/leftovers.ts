/** Looks for what a sandbox left behind, by the sandbox's own name: other sandboxes run beside it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { type Dirent, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { environment } from './run.js';

/** In milliseconds. libvirt ends a QEMU after its launcher was killed; a loaded machine needs time for that. */
const GONE_MS = 15_000;

/** The directory with the state directories of root's sandboxes. */
export const ROOT_STATE = '/run/libvirt-sandbox';

/** A name that no other sandbox has. */
export function uniqueName(): string {
  return `test-${randomBytes(4).toString('hex')}`;
}

/** Every process that has `text` in one of its arguments, as `PID COMMAND LINE`. */
export function processesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return words.some((word) => word.includes(text)) ? [`${pid} ${words.join(' ').trim()}`] : [];
      } catch {
        // The process has ended meanwhile.
        return [];
      }
    });
}

/** The PID of a sandbox's QEMU; undefined if there is none. */
export function qemuOf(name: string): number | undefined {
  const found = processesWith(`guest=${name},`)[0];
  return found === undefined ? undefined : Number.parseInt(found, 10);
}

/** Names of the domains that a daemon runs. */
export async function domainsOf(uri: string, through: readonly string[] = [], env = {}): Promise<string[]> {
  const [command = '', ...args] = [...through, 'virsh', '-q', '-c', uri, 'list', '--all', '--name'];
  const { stdout } = await promisify(execFile)(command, args, { env: environment(env), timeout: 20_000 });
  return stdout.split('\n').filter((line) => line !== '');
}

/** What is in a directory; nothing if it is not there. */
export function entriesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** Every file and directory called `name` in `directory`, `depth` levels deep. Files may come and go meanwhile. */
function filesWith(directory: string, name: string, depth = 4): string[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    const below = entry.isDirectory() && depth > 1 ? filesWith(path, name, depth - 1) : [];
    return entry.name === name ? [path, ...below] : below;
  });
}

/** The short aliases of the state directory of `name`: each is a link alone in a directory. */
export function aliasesOf(name: string): string[] {
  return [ROOT_STATE, '/tmp'].flatMap((base) =>
    entriesIn(base)
      .map((entry) => join(base, entry, 's'))
      .filter((path) => {
        try {
          return basename(readlinkSync(path)) === name;
        } catch {
          return false;
        }
      }),
  );
}

/** The mounts of this host with `name` in their path. */
function mountsOf(name: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`/${name}`));
}

/** Where {@link assertNothingLeft} looks beside processes and aliases. */
export interface WhereLeft {
  /** A directory that has the state directory in it, at any depth; default {@link ROOT_STATE}. */
  readonly state?: string;
  /** The names of the daemon's domains. */
  readonly domains?: () => Promise<string[]>;
  /** The directory of the daemon's logs. */
  readonly logs?: string;
}

/** The same without the logs: the log of a sandbox that failed stays, because it may say why. */
export function exceptLogs({ logs: _logs, ...where }: WhereLeft): WhereLeft {
  return where;
}

/** The logs of a domain and of its virtiofsd processes. */
export function logsOf(name: string, { logs }: WhereLeft): string[] {
  if (logs === undefined || !existsSync(logs)) return [];
  return readdirSync(logs)
    .filter((file) => file.startsWith(`${name}.`) || file.startsWith(`${name}-fs`))
    .map((file) => join(logs, file));
}

/** Looks until nothing is left, for up to {@link GONE_MS}. @returns what is left then */
export async function leftAtLast(look: () => string[] | Promise<string[]>): Promise<string[]> {
  let left = await look();
  for (const deadline = Date.now() + GONE_MS; left.length > 0 && Date.now() < deadline; left = await look())
    await sleep(100);
  return left;
}

/** Asserts that nothing is left of the sandbox `name`; waits up to {@link GONE_MS} for it. */
export async function assertNothingLeft(name: string, where: WhereLeft = {}): Promise<void> {
  const look = async () => [
    ...processesWith(name),
    ...filesWith(where.state ?? ROOT_STATE, name),
    ...aliasesOf(name),
    ...mountsOf(name),
    ...logsOf(name, where),
    ...((await where.domains?.()) ?? []).filter((domain) => domain === name),
  ];
  assert.deepEqual(await leftAtLast(look), [], `sandbox ${name} left something behind`);
}
