/** What QEMU is shown of the host's files: the view that is made before libvirt starts it. */
import type { SandboxConfig } from '../config/types.js';
import { serverWords } from './devices/root-server.js';
import { ALL_IS_SEEN, linkToAll, seesAll, viewCommand } from './devices/root-view.js';
import { rootShareOf } from './domain-parts.js';
import type { Prepared } from './prepare/prepared.js';
import type { LaunchOptions } from './types.js';

interface ViewOptions {
  /** Of the sandbox. */
  readonly name: string;
  /** The directory of its sockets. */
  readonly sockets: string;
  /** Words for disks that are mounted beside the view. */
  readonly disks: readonly string[];
  /** The user whose QEMU connects to the server of the root; undefined: this process's. */
  readonly client: number | undefined;
}

/**
 * The command that makes the view of the host's files, and disks beside it; undefined if there is neither.
 * @throws {SandboxError} `root-view-impossible`
 */
export function commandBefore(
  config: SandboxConfig,
  prepared: Prepared,
  { name, sockets, disks, client }: ViewOptions,
): string[] | undefined {
  const root = rootShareOf(prepared);
  const directory = root?.directory;
  if (directory === undefined && disks.length === 0) return undefined;
  const { connection, devices } = prepared;
  const hasNetwork = devices.interfaces.some(({ passt }) => passt === undefined);
  const server = serverWords(root, sockets, client);
  const facts = { name, kind: connection.kind, directory, disks, server, hasNetwork };
  const command = viewCommand(config, facts);
  if (command === undefined) linkToAll(config, facts);
  return command;
}

/** Says so where no user may have a view. */
export function warnIfAllIsSeen(
  config: SandboxConfig,
  prepared: Prepared,
  { onWarning }: Pick<LaunchOptions, 'onWarning'>,
): void {
  if (rootShareOf(prepared) === undefined || !seesAll(config, prepared.name)) return;
  onWarning?.(ALL_IS_SEEN);
}
