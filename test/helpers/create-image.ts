/** A process that creates one image: takes the options as JSON, prints what came of it as JSON. */

import { SandboxError } from '../../src/errors.js';
import { createImage } from '../../src/image/create.js';

try {
  const { id, directory } = await createImage(JSON.parse(process.argv[2] ?? '') as Parameters<typeof createImage>[0]);
  console.log(JSON.stringify({ id, directory }));
} catch (error) {
  if (!(error instanceof SandboxError)) throw error;
  console.log(JSON.stringify({ code: error.code, line: error.line }));
}
