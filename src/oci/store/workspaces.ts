/**
 * Workspaces of the store in which a program runs that may outlive the pull. It is ended before its files are removed:
 * nobody would look any more at the room that it takes, and files that it has open take it unseen.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownerOf, ownerTag } from '../../image/store/owner.js';
import { sweepWorkspaces } from '../../image/store/workspace.js';
import { valueOr } from '../../util/errors.js';
import { ProcessGroup } from '../../util/process-group.js';
import type { StorePaths } from './store-paths.js';

/** Has the tag of the process that leads the program's group. */
const RECORD = 'program';

/**
 * Writes down what runs in a workspace, in the place of what ran there before.
 * @throws the error of a system call
 */
export function recordProgram(workspace: string, leader: number): void {
  writeFileSync(join(workspace, RECORD), ownerTag(leader), { mode: 0o600 });
}

/** Removes the workspaces whose owner is gone, and ends what runs in them. Result: that of {@link sweepWorkspaces}. */
export async function sweepPulls(paths: StorePaths, dryRun = false): Promise<string[]> {
  return sweepWorkspaces(paths.roots, dryRun, endProgram);
}

/** @returns false: it runs on */
async function endProgram(workspace: string): Promise<boolean> {
  const leader = ownerOf(valueOr(() => readFileSync(join(workspace, RECORD), 'latin1'), ''));
  return leader === undefined || new ProcessGroup(leader.pid, leader.start).end();
}
