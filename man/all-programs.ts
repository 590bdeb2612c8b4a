/** The programs with a manual page and completions. Add a new program here and in scripts/bundle.mjs. */

import { virtSandbox } from './pages/virt-sandbox.1.js';
import { virtSandboxBake } from './pages/virt-sandbox-bake.1.js';
import { virtSandboxBench } from './pages/virt-sandbox-bench.1.js';
import { virtSandboxCtl } from './pages/virt-sandbox-ctl.1.js';
import { virtSandboxImage } from './pages/virt-sandbox-image.1.js';
import { virtSandboxService } from './pages/virt-sandbox-service.1.js';
import type { Program } from './program-description.js';

export const programs: readonly Program[] = [
  virtSandbox,
  virtSandboxBake,
  virtSandboxBench,
  virtSandboxCtl,
  virtSandboxImage,
  virtSandboxService,
];
