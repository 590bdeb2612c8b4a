/** The packages of nginx that scripts/setup unpacks: the newest two versions of the archive. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './run.js';

export interface NginxPackage {
  /** With all files of `nginx` and `nginx-common`. */
  readonly root: string;
  /** The packages themselves. */
  readonly files: readonly string[];
}

const UNPACKED = `${REPOSITORY}build/nginx`;

function packagesIn(directory: string): NginxPackage {
  const files = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.deb')) : [];
  return { root: join(directory, 'root'), files: files.map((name) => join(directory, name)) };
}

export const newerNginx = packagesIn(`${UNPACKED}/newer`);

/** Undefined: the archive has one version only, as after a point release. */
export const olderNginx = existsSync(`${UNPACKED}/older`) ? packagesIn(`${UNPACKED}/older`) : undefined;

/** A reason to skip, or false if the packages are unpacked. */
export const unlessNginx: string | false =
  newerNginx.files.length > 0 ? false : 'nginx is not unpacked (scripts/setup test does it, on Debian)';
