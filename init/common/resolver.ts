/** Sets the name servers in /etc/resolv.conf. */
import type { Guest } from '../../src/protocol/operations.js';
import type { GuestConfig, NameService } from './config.js';
import { provideFile } from './provided-file.js';

const PATH = '/etc/resolv.conf';
/** The C libraries read no more: resolv.conf(5). */
const MOST_SERVERS = 3;

export function resolverText({ servers, search }: NameService): string {
  return [
    ...(search.length === 0 ? [] : [`search ${search.join(' ')}`]),
    ...servers.slice(0, MOST_SERVERS).map((server) => `nameserver ${server}`),
    '',
  ].join('\n');
}

/**
 * Sets the name servers. Call it when everything is mounted.
 * @returns undefined, or a sentence that says why names will not be resolved
 * @throws {OperationError} if the file exists and cannot be mounted over
 */
export async function setUpResolver(
  guest: Guest,
  config: GuestConfig,
  names: NameService,
): Promise<string | undefined> {
  if (names.servers.length === 0) return 'no name server is known, so /etc/resolv.conf stays as it is in the root';
  const missing = await provideFile(guest, config, PATH, resolverText(names));
  if (missing === undefined) return undefined;
  const what = missing === PATH ? PATH : `${missing}, where ${PATH} leads,`;
  const servers = names.servers.join(', ');
  return `${what} does not exist in the root, so the name servers (${servers}) cannot be set; make an empty file there`;
}
