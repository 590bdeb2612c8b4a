/**
 * Opens the page in the user's browser. Command lines can be read by every user of the host, so the browser gets no
 * address with the token: it gets a file that only this user can read, which leads there.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../util/errors.js';
import { findInPath } from '../../util/programs.js';

export class PageOpener {
  #directory: string | undefined;

  /** @param onFailure is told why nothing was opened */
  open(url: string, onFailure: (why: string) => void): void {
    const program = findInPath('xdg-open');
    try {
      if (program === undefined) throw new Error('there is no xdg-open');
      this.#directory = mkdtempSync(join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), 'virt-sandbox-view-'));
      const file = join(this.#directory, 'open.html');
      writeFileSync(file, page(url), { mode: 0o600, flag: 'wx' });
      // It may be the browser itself, which lives on.
      const child = spawn(program, [file], { stdio: 'ignore', detached: true });
      child.on('error', (error) => onFailure(error.message));
      child.on('exit', (code) => {
        if (code !== null && code !== 0) onFailure(`xdg-open ended with status ${code}`);
      });
      child.unref();
    } catch (error) {
      onFailure(messageOf(error));
    }
  }

  /** The file is of no use any more. */
  remove(): void {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
    this.#directory = undefined;
  }
}

/** The address has no character that HTML gives a meaning to. */
function page(url: string): string {
  return `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url=${url}"><title>virt-sandbox</title>\n`;
}
