/** The variables of `exec`: --env and --env-file. */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { environmentRecord, parseEnv } from '../../config/parsers/env.js';
import type { EnvironmentVariable } from '../../config/types.js';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { refuseRaw } from '../argv.js';
import { type CtlArguments, textsOf } from './arguments.js';

/**
 * Variables of the files first, so that those of the command line win.
 * @throws {SandboxError} `env-key-missing`, `env-value-missing`, `env-file-unreadable`, `env-file-not-utf8`, `not-utf8`
 */
export function environmentOf(args: CtlArguments): Record<string, string> {
  const files = textsOf(args, 'env-file').flatMap(readEnvFile);
  const given = textsOf(args, 'env').map((text) => {
    refuseRaw(text, 'the value of --env,');
    return parseEnv(text);
  });
  return environmentRecord([...files, ...given]);
}

/** Lines of a file, each as for --env. Empty lines and lines that begin with # say nothing. */
function readEnvFile(path: string): EnvironmentVariable[] {
  return readText(path)
    .split('\n')
    .map((line) => line.replace(/\r$/, ''))
    .filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'))
    .filter((line) => line.includes('=') || Object.hasOwn(process.env, line))
    .map(parseEnv);
}

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new SandboxError({
      stage: 'arguments',
      code: 'env-file-unreadable',
      message: `--env-file cannot be read: ${error.message}`,
      remedy: 'name a file that you may read',
      cause: error,
    });
  }
  if (isUtf8(bytes)) return bytes.toString();
  throw new SandboxError({
    stage: 'arguments',
    code: 'env-file-not-utf8',
    message: `--env-file ${JSON.stringify(path)} is not UTF-8`,
    remedy: 'convert it, as with iconv -t UTF-8',
  });
}
