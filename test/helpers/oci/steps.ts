/** Steps of work on files: the calls that change a directory, open a file, or look at one. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const CALLS = ['mkdir', 'chmod', 'open', 'stat', 'rename', 'rm'] as const;
const SYNCHRONOUS = ['writeFileSync', 'readdirSync', 'lstatSync', 'openSync', 'rmSync'] as const;

/**
 * Calls `hook` before each such call of this process.
 * @returns ends that
 */
export function beforeEachStep(hook: () => void): () => void {
  const ends = [
    ...CALLS.map((name) => hooked(fs.promises, name, hook)),
    ...SYNCHRONOUS.map((name) => hooked(fs, name, hook)),
  ];
  syncBuiltinESMExports();
  return () => {
    for (const end of ends) end();
    syncBuiltinESMExports();
  };
}

function hooked<Key extends string>(
  library: Readonly<Record<Key, (...words: never[]) => unknown>>,
  name: Key,
  hook: () => void,
): () => void {
  const call = library[name];
  const replacement = (...words: unknown[]) => {
    hook();
    return Reflect.apply(call, library, words);
  };
  Object.assign(library, { [name]: replacement });
  return () => Object.assign(library, { [name]: call });
}
