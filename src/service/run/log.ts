/** The log of a service. It goes on over its lives, and is cut at 16 MiB: src/control/log.ts. */
import { closeSync, constants, openSync } from 'node:fs';
import type { LogRecord, ReadLogOptions } from '../../control/log.js';
import { LogWriter, type OnMissing } from '../../control/log-writer.js';
import { readLogIn } from '../../control/read-log.js';
import { isSystemError, messageOf, oneLine, valueOr } from '../../util/errors.js';
import { serviceError } from '../errors.js';
import type { ServicePaths } from '../paths.js';
import { findHolder } from './claim.js';
import { neverRan } from './errors.js';
import { makeLife } from './record.js';

/** What the lines of this program begin with, in the log. */
const OWN_LINES = 'virt-sandbox-service: ';

/** @throws {SandboxError} `service-not-recorded` */
export async function openServiceLog(
  { life }: Pick<ServicePaths, 'life'>,
  onMissing?: OnMissing,
  againMs?: number,
): Promise<LogWriter> {
  makeLife(life);
  try {
    return await LogWriter.goOn(life, { tellMissing: missingLine, onMissing, againMs });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw serviceError(
      'service-not-recorded',
      `the log of a service cannot be written in ${life}: ${messageOf(error)}`,
      'make room, and look whose that directory is',
      error,
    );
  }
}

function missingLine(bytes: number, why: string): Buffer {
  return ownLine(`up to ${bytes} bytes of its output are missing here, which could not be written: ${why}`);
}

/** A line of this program in the log. */
export function ownLine(sentence: string): Buffer {
  return Buffer.from(`${OWN_LINES}${oneLine(sentence)}\n`);
}

/**
 * What a service has written. With `follow` it ends when nobody holds the service any more.
 * @throws {SandboxError} `service-no-log`, `control-failed`
 */
export function readServiceLog(
  name: string,
  { life }: Pick<ServicePaths, 'life'>,
  options: ReadLogOptions = {},
): AsyncGenerator<LogRecord> {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  const source = {
    name,
    uid: process.geteuid?.(),
    open: () => openSync(life, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
    missing: () => neverRan(name),
    isOver: () => findHolder(name) === undefined,
  };
  // Nothing was ever written if there is no directory.
  if (valueOr(() => openAndClose(source.open), false)) return readLogIn(source, options);
  throw neverRan(name);
}

function openAndClose(open: () => number): boolean {
  closeSync(open());
  return true;
}
