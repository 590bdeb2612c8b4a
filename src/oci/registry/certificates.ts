/** Certificates that connections to registries trust, as other tools for images find them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { valueOr } from '../../util/errors.js';
import { readIfThere } from '../../util/small-files.js';

/** The host's own authorities: Debian, Fedora, SUSE. Node.js would trust those that Mozilla does, and no others. */
const SYSTEM_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
];

/** containers-certs.d(5): a directory of these for each `HOST[:PORT]`. */
const REGISTRY_DIRECTORIES = ['/etc/containers/certs.d', '/etc/docker/certs.d'];

export interface Certificates {
  /** Undefined: those that Node.js trusts. */
  readonly ca?: string[];
  /** What this host shows of itself, and its key. */
  readonly cert?: string;
  readonly key?: string;
}

export function certificatesFor(host: string, environment: NodeJS.ProcessEnv): Certificates {
  const system = [environment['SSL_CERT_FILE'], ...SYSTEM_FILES]
    .map((path) => (path === undefined ? undefined : readIfThere(path)))
    .find((text) => text !== undefined);
  const own = REGISTRY_DIRECTORIES.map((directory) => join(directory, host));
  const authorities = own.flatMap((directory) => filesIn(directory, '.crt'));
  const client = own.flatMap((directory) => filesIn(directory, '.cert'))[0];
  const key = client === undefined ? undefined : readIfThere(client.replace(/\.cert$/, '.key'));
  const texts = [system, ...authorities.map(readIfThere)].filter((text) => text !== undefined);
  return {
    ...(system === undefined && authorities.length === 0 ? {} : { ca: texts }),
    ...(client === undefined || key === undefined ? {} : { cert: readFileSync(client, 'utf8'), key }),
  };
}

function filesIn(directory: string, ending: string): string[] {
  return valueOr(() => readdirSync(directory), [])
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(directory, name));
}
