/** `--include GUEST[=HOST]`, and files with one include a line. */
import { readFile } from 'node:fs/promises';
import { messageOf } from '../../util/errors.js';
import { argumentError, quote } from '../errors.js';
import { hostPath } from '../path.js';
import type { Include } from '../types.js';
import { splitOnce } from './text.js';

/**
 * Reads one include: HOST is copied to GUEST. GUEST alone is copied from the same path on the host.
 * @throws SandboxError `include-target-not-absolute`, `include-source-missing`
 */
export function parseInclude(text: string): Include {
  const [target, source] = splitOnce(text, '=') ?? [text, text];
  if (!target.startsWith('/')) {
    throw argumentError(
      'include-target-not-absolute',
      `include ${quote(text)} has the target ${quote(target)}, which is not an absolute path`,
      'write --include GUEST or GUEST=HOST, where GUEST begins with /',
    );
  }
  if (source === '') {
    throw argumentError('include-source-missing', `include ${quote(text)} has no source`, 'name a path after the =');
  }
  return { target, source: hostPath(source, `include ${quote(text)}`) };
}

/**
 * Reads a file with one include a line. Empty lines and lines that begin with `#` are skipped.
 * @throws SandboxError `include-file-unreadable`, and those of {@link parseInclude}
 */
export async function readIncludeFile(path: string): Promise<readonly Include[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw argumentError(
      'include-file-unreadable',
      `cannot read the include file ${quote(path)}: ${messageOf(error)}`,
      'name a readable file with one GUEST[=HOST] a line',
    );
  }
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'));
  return lines.map(parseInclude);
}
