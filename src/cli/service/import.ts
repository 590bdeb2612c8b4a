/** virt-sandbox-service import: makes a service of an archive. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { isatty } from 'node:tty';
import { notReadable } from '../../service/archive/errors.js';
import { type Imported, importService } from '../../service/archive/import.js';
import { serviceRoots } from '../../service/paths.js';
import { isSystemError, messageOf, oneLine } from '../../util/errors.js';
import { printJson, size } from '../output.js';
import { progressLine } from '../terminal/progress-line.js';
import { untilSignal } from '../until-signal.js';
import { isSet, PROGRAM, type ServiceArguments, textOf, usageError } from './arguments.js';
import { serviceJson } from './show.js';
import { sayWait } from './waiting.js';

const STDIN = 0;

export async function importArchive(args: ServiceArguments): Promise<number> {
  const [archive = '', name = ''] = args.words;
  const progress = progressLine(PROGRAM);
  const { stream, file } = await openArchive(archive);
  const options = {
    archive: archive === '-' ? 'standard input' : archive,
    stream,
    file,
    connect: textOf(args, 'connect'),
    path: textOf(args, 'path'),
    isTrusted: isSet(args, 'trust'),
    mayFill: isSet(args, 'fill'),
    onWait: sayWait(name),
    onProgress: (bytes: number) => progress.show(`reading ${name}: ${size(bytes)}`),
  };
  return untilSignal(
    async (signal) => {
      // Who writes it may be slow.
      signal.addEventListener('abort', () => stream.destroy(), { once: true });
      return importService(serviceRoots(), name, { ...options, signal }).finally(() => progress.clear());
    },
    async (imported) => {
      say(imported);
      const { service, source, changed } = imported;
      if (isSet(args, 'json')) await printJson({ ...serviceJson(service), source: source.name, changed });
      return 0;
    },
  );
}

/** @returns `file` if it can be read at any position */
async function openArchive(path: string): Promise<{ stream: Readable; file?: FileHandle }> {
  if (path === '-') {
    if (isatty(STDIN)) throw usageError('standard input is a terminal: name the file of an archive', 'import');
    return { stream: process.stdin };
  }
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOCTTY);
    const found = await file.stat();
    if (found.isFile() || found.isFIFO()) {
      const stream = file.createReadStream({ highWaterMark: 1 << 20 });
      return { stream, ...(found.isFile() && { file }) };
    }
    await file.close();
  } catch (error) {
    throw isSystemError(error) ? notReadable(path, messageOf(error), error) : error;
  }
  throw notReadable(path, 'it is neither a file nor a pipe');
}

/** What users cannot know beforehand. */
function say({ source, service }: Imported): void {
  const { label } = source.config.security;
  if (label !== undefined && bare(label) !== bare(service.config.security.label ?? ''))
    tell(`${service.name} does not have the label ${label} of the archive: --trust keeps it`);
  for (const [index, own] of service.config.publish.entries()) {
    const old = source.config.publish[index];
    if (old === undefined || old.hostPort === own.hostPort) continue;
    tell(`port ${old.hostPort} of the archive is ${own.hostPort} of ${service.name}`);
  }
}

/** A label of SELinux without its level, which differs between services. */
function bare(label: string): string {
  return label.split(':', 3).join(':');
}

function tell(sentence: string): void {
  process.stderr.write(`${PROGRAM}: ${oneLine(sentence)}\n`);
}
