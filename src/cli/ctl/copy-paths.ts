/** The two paths of `cp`, of which one is in a sandbox. */
import { usageError } from './arguments.js';

/** Which way files go. */
export interface Copy {
  readonly sandbox: string;
  readonly direction: 'upload' | 'download';
  readonly pathInside: string;
  readonly hostPath: string;
}

/** A tar, of standard input or to standard output: `-` in place of a path of the host. */
export interface TarCopy {
  readonly sandbox: string;
  readonly direction: 'extract' | 'archive';
  readonly pathInside: string;
}

/** A path of the host, or one in a sandbox. */
interface CopyPath {
  /** Undefined: of the host. */
  readonly sandbox: string | undefined;
  readonly path: string;
}

/** Whether a sandbox of that name runs. */
type Runs = (name: string) => Promise<boolean>;

/** @throws {SandboxError} `usage` */
export async function copyOf(from: string, to: string, runs: Runs): Promise<Copy | TarCopy> {
  if (from === '-') return tarCopy('extract', to, runs);
  if (to === '-') return tarCopy('archive', from, runs);
  const [source, target] = [await copyPath(from, runs), await copyPath(to, runs)];
  if (source.sandbox !== undefined && target.sandbox !== undefined)
    throw usageError('both paths are in a sandbox; copy to the host first', 'cp');
  if (source.sandbox !== undefined) {
    const { sandbox, path } = source;
    return { sandbox, direction: 'download', pathInside: path, hostPath: target.path };
  }
  if (target.sandbox === undefined)
    throw usageError(`neither ${JSON.stringify(from)} nor ${JSON.stringify(to)} is NAME:PATH`, 'cp');
  return { sandbox: target.sandbox, direction: 'upload', pathInside: target.path, hostPath: source.path };
}

async function tarCopy(direction: TarCopy['direction'], inside: string, runs: Runs): Promise<TarCopy> {
  const { sandbox, path } = await copyPath(inside, runs);
  if (sandbox === undefined || inside === '-')
    throw usageError(`- is a tar and goes with NAME:PATH, which ${JSON.stringify(inside)} is not`, 'cp');
  return { sandbox, direction, pathInside: path };
}

/** Names may have colons, and so may paths: the shortest name that runs counts. */
async function copyPath(text: string, runs: Runs): Promise<CopyPath> {
  if (text.startsWith('/') || text.startsWith('.')) return { sandbox: undefined, path: text };
  const colons = [...text.matchAll(/:/g)].map(({ index }) => index).filter((index) => index > 0);
  const running = await Promise.all(colons.map((index) => runs(text.slice(0, index))));
  const at = colons[running.indexOf(true)] ?? colons[0];
  if (at === undefined) return { sandbox: undefined, path: text };
  const path = text.slice(at + 1);
  if (path === '') throw usageError(`${JSON.stringify(text)} has no path after the colon`, 'cp');
  // As podman has it: a path without a slash in front counts from the root.
  return { sandbox: text.slice(0, at), path: path.startsWith('/') ? path : `/${path}` };
}
