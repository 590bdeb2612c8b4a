/** An nginx as a package of the host has it, in a directory, which services share; and a newer version of it. */
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type NginxPackage, newerNginx, olderNginx } from './nginx-packages.js';

/** Where each service has its site, in its own state. */
export const SITE = '/srv/site';

/** One process serves, and one more waits for connections, as root and as nobody. @param name of the configuration */
const configuration = (name: string) => `worker_processes 1;
pid ${SITE}/nginx.pid;
error_log stderr;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${SITE}/body;
  proxy_temp_path ${SITE}/proxy;
  fastcgi_temp_path ${SITE}/fastcgi;
  uwsgi_temp_path ${SITE}/uwsgi;
  scgi_temp_path ${SITE}/scgi;
  server { listen 80; root ${SITE}/www; add_header Configuration ${name}; }
}
`;

export class HostedNginx {
  readonly #directory: string;

  /** @param directory of the host, which others may read */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o755);
    this.#unpack(olderNginx ?? newerNginx);
    this.#configure('older');
  }

  /** Its path. */
  get program(): string {
    return join(this.#directory, 'usr/sbin/nginx');
  }

  /** Only root may read it, so a service needs a copy. */
  get configuration(): string {
    return join(this.#directory, 'nginx.conf');
  }

  /** The command of a service. */
  get command(): readonly string[] {
    const made = `mkdir -p ${SITE}/www && [ -e ${SITE}/www/index.html ] || echo new > ${SITE}/www/index.html`;
    const nginx = `exec ${this.program} -e stderr -c ${this.configuration} -g "daemon off;"`;
    return ['/bin/sh', '-c', `${made}; ${nginx}`];
  }

  /** Of the program. */
  get digest(): string {
    return createHash('sha256').update(readFileSync(this.program)).digest('hex');
  }

  /**
   * Puts the newer version in its place, and a newer configuration.
   * @returns false: the archive has one version only, and its program was changed without effect instead
   */
  upgrade(): boolean {
    this.#unpack(newerNginx);
    this.#configure('newer');
    if (olderNginx !== undefined) return true;
    this.#put(this.program, 0o755, (fresh) => {
      copyFileSync(this.program, fresh);
      appendFileSync(fresh, 'newer');
    });
    return false;
  }

  #configure(name: string): void {
    this.#put(this.configuration, 0o600, (fresh) => writeFileSync(fresh, configuration(name)));
  }

  #unpack({ root }: NginxPackage): void {
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      const from = join(entry.parentPath, entry.name);
      if (!entry.isFile()) continue;
      const to = join(this.#directory, from.slice(root.length));
      mkdirSync(dirname(to), { recursive: true });
      this.#put(to, statSync(from).mode, (fresh) => copyFileSync(from, fresh));
    }
  }

  /** As dpkg does: programs that run keep the file that they have. */
  #put(path: string, mode: number, write: (fresh: string) => void): void {
    const fresh = `${path}.dpkg-new`;
    write(fresh);
    chmodSync(fresh, mode);
    renameSync(fresh, path);
  }
}
