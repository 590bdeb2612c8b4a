/** virt-sandbox-service edit: the sandbox.cfg of a service in an editor. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { editService, readForEdit } from '../../service/edit.js';
import { serviceError } from '../../service/errors.js';
import { serviceRoots } from '../../service/paths.js';
import { SandboxError } from '../../util/errors.js';
import { tellFailure } from '../program.js';
import { Questions } from '../terminal/ask.js';
import { PROGRAM, type ServiceArguments } from './arguments.js';
import { nameOf } from './each-service.js';
import { say } from './say.js';
import { sayWait } from './waiting.js';

export async function edit(args: ServiceArguments): Promise<number> {
  const roots = serviceRoots();
  const name = await nameOf(args);
  const before = await readForEdit(roots, name);
  const directory = mkdtempSync(join(tmpdir(), 'virt-sandbox-service-'));
  const file = join(directory, 'sandbox.cfg');
  let isKept = false;
  try {
    await writeFile(file, before, { mode: 0o600 });
    for (;;) {
      await runEditor(file);
      const after = await readFile(file, 'utf8');
      if (after === before) return 0;
      try {
        await editService(roots, name, { before, after }, { onWait: sayWait(name) });
        return 0;
      } catch (error) {
        if (!(error instanceof SandboxError)) throw error;
        const status = tellFailure(PROGRAM, error);
        if (process.stdin.isTTY && (await wantsAgain())) continue;
        isKept = true;
        say(`nothing is changed; what was written is kept in ${file}`);
        return status;
      }
    }
  } finally {
    if (!isKept) rmSync(directory, { recursive: true, force: true });
  }
}

async function wantsAgain(): Promise<boolean> {
  const questions = new Questions();
  try {
    return !/^n/i.test((await questions.ask(`${PROGRAM}: edit it again? Otherwise nothing is changed [Y/n] `)).trim());
  } finally {
    questions.close();
  }
}

/** VISUAL and EDITOR may have options. */
async function runEditor(file: string): Promise<void> {
  const editor = process.env['VISUAL'] || process.env['EDITOR'] || 'vi';
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
  const how = await new Promise<string | number | null>((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('exit', (status, signal) => resolve(status ?? signal));
  });
  if (how === 0) return;
  throw serviceError(
    'editor-failed',
    `the editor ${JSON.stringify(editor)} ended with ${how}, so nothing is changed`,
    'name another one in EDITOR',
  );
}
