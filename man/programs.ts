/** The programs that have a manual page and completions. Another one is added here, and in scripts/bundle.mjs. */
import type { Program } from './program.js';
import { virtSandbox } from './virt-sandbox.js';
import { virtSandboxBake } from './virt-sandbox-bake.js';
import { virtSandboxBench } from './virt-sandbox-bench.js';

export const programs: readonly Program[] = [virtSandbox, virtSandboxBake, virtSandboxBench];
