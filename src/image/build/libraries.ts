/**
 * Finds the shared libraries of a program as ld.so(8) does, without running the program: by DT_NEEDED and DT_RUNPATH of
 * elf(5), and the loader's cache.
 */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { SEGMENT_DYNAMIC, SEGMENT_INTERPRETER, SEGMENT_LOAD, type Segment, segmentsOf } from '../../kernel/elf.js';
import type { InputLog } from '../../util/input-log.js';

const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;

/** The loader and libraries that an ELF file asks for. */
interface Needs {
  /** Path of its loader; undefined for a library or a static program. */
  readonly interpreter: string | undefined;
  readonly needed: readonly string[];
  readonly runPaths: readonly string[];
}

/** A program with its loader and all its libraries. */
export interface LinkedProgram {
  readonly content: Buffer;
  readonly loader: Buffer;
  /** Libraries by the name in DT_NEEDED, sorted. */
  readonly libraries: readonly (readonly [name: string, content: Buffer])[];
}

function linkError(message: string, cause?: unknown): SandboxError {
  return new SandboxError({
    stage: 'image',
    code: 'node-unusable',
    message,
    remedy: 'name a Node.js that is an x86_64 program of this host with --node',
    cause,
  });
}

function textAt(data: Buffer, at: number): string {
  const end = data.indexOf(0, at);
  return data.toString('latin1', at, end < 0 ? data.length : end);
}

function needsOf(data: Buffer, path: string): Needs {
  let segments: Segment[];
  try {
    segments = segmentsOf(data);
  } catch (error) {
    throw linkError(`${path} is no program that can be put into an image: ${messageOf(error)}`, error);
  }
  const interpreter = segments.find(({ type }) => type === SEGMENT_INTERPRETER);
  const dynamic = segments.find(({ type }) => type === SEGMENT_DYNAMIC);
  const entries: [bigint, bigint][] = [];
  const end = Math.min((dynamic?.offset ?? 0) + (dynamic?.fileSize ?? 0), data.length);
  for (let at = dynamic?.offset ?? 0; at + 16 <= end; at += 16) {
    entries.push([data.readBigUInt64LE(at), data.readBigUInt64LE(at + 8)]);
  }
  const address = entries.find(([tag]) => tag === DT_STRTAB)?.[1] ?? 0n;
  const home = segments.find(
    ({ type, virtualAddress, fileSize }) =>
      type === SEGMENT_LOAD && address >= virtualAddress && address < virtualAddress + BigInt(fileSize),
  );
  const strings = home === undefined ? 0 : home.offset + Number(address - home.virtualAddress);
  const texts = (...tags: bigint[]) =>
    entries.filter(([tag]) => tags.includes(tag)).map(([, value]) => textAt(data, strings + Number(value)));
  return {
    interpreter: interpreter === undefined ? undefined : textAt(data, interpreter.offset),
    needed: texts(DT_NEEDED),
    runPaths: texts(DT_RPATH, DT_RUNPATH)
      .flatMap((list) => list.split(':'))
      .map((directory) => directory.replace(/\$ORIGIN|\$\{ORIGIN\}/g, dirname(path))),
  };
}

/** Paths of x86-64 libraries by name, from the loader's cache. */
async function loaderCache(): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await promisify(execFile)('/sbin/ldconfig', ['-p'], { maxBuffer: 1 << 24 });
  const found = new Map<string, string>();
  for (const [, name = '', path = ''] of stdout.matchAll(/^\s*(\S+) \([^)]*x86-64[^)]*\) => (\S+)$/gm)) {
    if (!found.has(name)) found.set(name, path);
  }
  return found;
}

async function readNoted(path: string, inputs: InputLog): Promise<Buffer> {
  inputs.note(path);
  try {
    return await readFile(path);
  } catch (error) {
    if (isSystemError(error)) throw linkError(`${path} cannot be read (${error.code})`, error);
    throw error;
  }
}

/**
 * Reads a program and its libraries.
 *
 * @param inputs Notes every file that is read.
 * @throws {SandboxError} `node-unusable`.
 */
export async function readLinkedProgram(path: string, inputs: InputLog): Promise<LinkedProgram> {
  const real = await realpath(path).catch((error: unknown) => {
    throw linkError(`${path} cannot be found`, error);
  });
  inputs.note(path);
  const content = await readNoted(real, inputs);
  const first = needsOf(content, real);
  if (first.interpreter === undefined) throw linkError(`${path} is not a dynamically linked program`);
  inputs.note('/etc/ld.so.cache');
  const cache = await loaderCache();
  const libraries = new Map<string, Buffer>();
  const queue = first.needed.map((name) => ({ name, from: first, by: real }));
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { name, from, by } = next;
    if (libraries.has(name)) continue;
    const candidates = [
      ...from.runPaths.map((directory) => join(directory, name)),
      ...(cache.has(name) ? [cache.get(name) ?? ''] : []),
      ...['/lib64', '/usr/lib64', '/lib', '/usr/lib'].map((directory) => join(directory, name)),
    ];
    const found = candidates.find((candidate) => existsSync(candidate));
    if (found === undefined) throw linkError(`the library ${name}, which ${by} needs, cannot be found`);
    const library = await readNoted(found, inputs);
    libraries.set(name, library);
    const needs = needsOf(library, await realpath(found));
    for (const needed of needs.needed) queue.push({ name: needed, from: needs, by: found });
  }
  return {
    content,
    loader: await readNoted(first.interpreter, inputs),
    libraries: [...libraries].sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}
