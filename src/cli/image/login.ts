/** virt-sandbox-image login and logout: user and password of a registry. */
import { isUtf8 } from 'node:buffer';
import type { FileWithHost } from '../../oci/registry/auth-files.js';
import { type Login, logIn, loginTarget, logOut, registryName } from '../../oci/registry/login.js';
import { listOf } from '../../oci-names/errors.js';
import { DOCKER_HUB } from '../../oci-names/reference.js';
import { oneLine } from '../../util/errors.js';
import { printLines } from '../output.js';
import { Questions } from '../terminal/ask.js';
import { untilSignal } from '../until-signal.js';
import { type ImageArguments, isSet, PROGRAM, registryOf, textOf, usageError } from './arguments.js';

/** Bytes of a password. */
const MOST_PASSWORD = 64 << 10;

export async function login(args: ImageArguments): Promise<number> {
  const registry = registryName(args.words[0] ?? DOCKER_HUB);
  const options = registryOf(args, 'login');
  const fromInput = isSet(args, 'password-stdin');
  const given = textOf(args, 'username');
  if (fromInput && given === undefined) throw usageError('--password-stdin goes with --username', 'login');
  if (!fromInput && !(process.stdin.isTTY && process.stderr.isTTY))
    throw usageError('there is no terminal to ask for the password at, and no --password-stdin', 'login');
  const { registry: at } = loginTarget(registry, options);
  const { user, password } =
    fromInput && given !== undefined ? { user: given, password: await readPassword() } : await askFor(at, given);
  return untilSignal(
    (signal) => logIn(registry, { user, password }, options, signal),
    async ({ file, isTried, before }) => {
      const done = isTried ? `logged in as ${oneLine(user)}` : 'asked for no password, so it is not known to be right';
      await printLines([`${nameOf(registry, at)}: ${done}; ${oneLine(file)} has the password, not encrypted`]);
      if (before.length > 0) warn(`pulls use ${listOf(before)} in ${file} before this password`);
      return 0;
    },
  );
}

/** @param at where registries.conf says that it is */
function nameOf(registry: string, at: string): string {
  return at === registry ? registry : `${registry}, which is ${at} by registries.conf`;
}

function warn(sentence: string): void {
  process.stderr.write(`${PROGRAM}: warning: ${oneLine(sentence)}\n`);
}

export async function logout(args: ImageArguments): Promise<number> {
  const registry = registryName(args.words[0] ?? DOCKER_HUB);
  const options = registryOf(args, 'logout');
  return untilSignal(
    (signal) => logOut(registry, options, signal),
    async ({ had, others }) => {
      await printLines([`${registry}: ${had ? 'logged out' : 'nobody was logged in'}${stillIn(others)}`]);
      return 0;
    },
  );
}

function stillIn(files: readonly FileWithHost[]): string {
  const told = { password: 'still has a password, which is used', helper: 'names a credential helper, which is asked' };
  return files.map(({ path, has }) => `; ${oneLine(path)} ${told[has]}`).join('');
}

/** @param given the user's name; undefined: it is asked for too */
async function askFor(registry: string, given: string | undefined): Promise<Login> {
  const questions = new Questions();
  try {
    const user = given ?? (await questions.ask(`User name at ${registry}: `));
    return { user, password: await questions.askSecret(`Password of ${oneLine(user)} at ${registry}: `) };
  } finally {
    questions.close();
  }
}

/** All of standard input, without the end of its last line. @throws {SandboxError} `usage` */
async function readPassword(): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MOST_PASSWORD) throw usageError(`a password has at most ${MOST_PASSWORD} bytes`, 'login');
    pieces.push(piece);
  }
  const bytes = Buffer.concat(pieces);
  if (!isUtf8(bytes)) throw usageError('the password is not UTF-8', 'login');
  return bytes.toString().replace(/\r?\n$/, '');
}
