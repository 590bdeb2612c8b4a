/** A process that creates one image: reads the options as JSON and prints the image or the error as JSON. */
import { createImage } from '../../src/image/create-ahead.js';
import { SandboxError } from '../../src/util/errors.js';

try {
  const { id, directory } = await createImage(JSON.parse(process.argv[2] ?? '') as Parameters<typeof createImage>[0]);
  console.log(JSON.stringify({ id, directory }));
} catch (error) {
  if (!(error instanceof SandboxError)) throw error;
  console.log(JSON.stringify({ code: error.code, line: error.line }));
}
