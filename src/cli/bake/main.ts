/** The program virt-sandbox-bake. Each command is loaded when it is called. */
import { givenWords, refuseRaw } from '../argv.js';
import { runProgram } from '../program.js';
import { print } from '../terminal/output.js';
import { version } from '../version.js';
import { type BakeRequest, parseBakeArguments } from './arguments.js';

runProgram('virt-sandbox-bake', main);

async function main(): Promise<number> {
  const words = givenWords();
  for (const word of words) refuseRaw(word, 'the word');
  const request = await parseBakeArguments(words, version);
  if (!('print' in request)) return dispatch(request);
  await print(request.print);
  return 0;
}

async function dispatch({ command, args }: Exclude<BakeRequest, { print: string }>): Promise<number> {
  switch (command) {
    case 'create':
      return (await import('./create.js')).create(args);
    case 'list':
      return (await import('./store.js')).list(args);
    case 'show':
      return (await import('./store.js')).show(args);
    case 'ls':
    case 'cat':
    case 'unpack':
    case 'diff':
    case 'verify':
      return (await import('./inspect.js'))[command](args);
    case 'push':
      return (await import('./push.js')).push(args);
    case 'pull':
      return (await import('./pull.js')).pull(args);
    case 'rm':
      return (await import('./store.js')).remove(args);
    case 'prune':
      return (await import('./store.js')).prune(args);
  }
}
