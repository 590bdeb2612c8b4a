/** The files of the page. scripts/bundle.mjs makes them, and they are read once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, SandboxError } from '../util/errors.js';
import { packageDirectory } from '../util/programs.js';
import type { PageSettings } from './page-settings.js';

export interface PageFile {
  readonly type: string;
  readonly content: Buffer;
  readonly isPage: boolean;
}

const FILES = [
  { name: '', file: 'page.html', type: 'text/html; charset=utf-8' },
  { name: 'page.css', file: 'page.css', type: 'text/css; charset=utf-8' },
  { name: 'page.js', file: 'page.js', type: 'text/javascript; charset=utf-8' },
];

/**
 * By what the path has behind the token.
 * @throws {SandboxError} `not-built`
 */
export function readPage(settings: PageSettings): ReadonlyMap<string, PageFile> {
  const directory = join(packageDirectory(), 'dist', 'viewer');
  try {
    const files = FILES.map(({ name, file, type }): [string, PageFile] => [
      name,
      { type, content: readFileSync(join(directory, file)), isPage: name === '' },
    ]);
    const content = Buffer.from(JSON.stringify(settings));
    return new Map([...files, ['settings.json', { type: 'application/json', content, isPage: false }]]);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new SandboxError({
      stage: 'config',
      code: 'not-built',
      message: `a file of the page is missing: ${error.message}`,
      remedy: 'run make build in the source directory, or install the package again',
      cause: error,
    });
  }
}
