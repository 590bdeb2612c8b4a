/**
 * A client of a detached sandbox: client.js NAME SEED WHAT. It says a few things to it, as seed and its number say, and
 * ends with 0 if all answers are right; or it stops the sandbox.
 */
import { connectSandbox } from '../../src/index.js';
import { Choices } from './plan.js';
import { turnsOf } from './turns.js';

const [name = '', seed = '0', what = ''] = process.argv.slice(2);

const TURNS = 5;

await using sandbox = await connectSandbox(name);
if (what === 'stop') {
  await sandbox.stop({ timeout: 5000 });
} else {
  const choices = new Choices(Number(seed) * 8 + Number(what));
  const turns = turnsOf(choices);
  for (let turn = 0; turn < TURNS; turn += 1) await turns[choices.one(Object.keys(turns))]?.()(sandbox);
}
