/** An nginx as a package of the host has it, in a directory, which services share; and another version of it. */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './run.js';

const UNPACKED = `${REPOSITORY}build/unpacked/usr/sbin/nginx`;

/** A reason to skip, or false if the package is unpacked. */
export const unlessNginx: string | false = existsSync(UNPACKED)
  ? false
  : 'nginx is not unpacked (scripts/setup test does it, on Debian)';

/** Where each service has its site, in its own state. */
export const SITE = '/srv/site';

/** One process serves, and one more waits for connections, as root and as nobody. */
const CONFIG = `worker_processes 1;
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
  server { listen 80; root ${SITE}/www; }
}
`;

export class HostedNginx {
  readonly #directory: string;

  /** @param directory of the host, which others may read */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'nginx.conf'), CONFIG);
    chmodSync(directory, 0o755);
    this.#put(readFileSync(UNPACKED));
  }

  /** Its path. */
  get program(): string {
    return join(this.#directory, 'nginx');
  }

  /** The command of a service. */
  get command(): readonly string[] {
    const made = `mkdir -p ${SITE}/www && [ -e ${SITE}/www/index.html ] || echo new > ${SITE}/www/index.html`;
    const nginx = `exec ${this.program} -e stderr -c ${join(this.#directory, 'nginx.conf')} -g "daemon off;"`;
    return ['/bin/sh', '-c', `${made}; ${nginx}`];
  }

  /** The version that it calls itself: `1.26.3`. */
  get version(): string {
    return /nginx\/(\d+\.\d+\.\d+)\0/.exec(readFileSync(this.program, 'latin1'))?.[1] ?? '';
  }

  /** Puts another version in its place, as dpkg does: programs that run keep the file that they have. */
  upgrade(): void {
    const old = readFileSync(this.program, 'latin1');
    const { version } = this;
    const next = version.replace(/\d$/, (digit) => String((Number(digit) + 1) % 10));
    this.#put(Buffer.from(old.replaceAll(`nginx/${version}`, `nginx/${next}`), 'latin1'));
  }

  #put(program: Buffer): void {
    const fresh = `${this.program}.dpkg-new`;
    copyFileSync(UNPACKED, fresh);
    writeFileSync(fresh, program);
    chmodSync(fresh, 0o755);
    renameSync(fresh, this.program);
  }
}
