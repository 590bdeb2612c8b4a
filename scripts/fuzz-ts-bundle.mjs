// Bundles the targets of fuzzing in test/fuzz/ts/, each into one file of CommonJS: the fuzzer instruments what is
// loaded by require(), and nothing else.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const repository = fileURLToPath(new URL('..', import.meta.url));
const targets = `${repository}test/fuzz/ts`;
/** Where the bundles are. The fuzzer instruments files with this in their path. */
export const BUNDLES = `${repository}build/fuzz/ts`;

/** Names of all targets. */
export function targetNames() {
  return readdirSync(targets)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.slice(0, -'.ts'.length))
    .sort();
}

/** Files in memory take the place of those on a disk: test/fuzz/ts/support/memory-files.ts. */
const memoryFiles = {
  name: 'memory-files',
  setup({ onResolve }) {
    onResolve({ filter: /^node:fs(\/promises)?$/ }, ({ path, importer }) => {
      if (importer.includes('/support/')) return undefined;
      return { path: `${targets}/support/${path === 'node:fs' ? 'memory-fs' : 'memory-fs-promises'}.ts` };
    });
  },
};

/** Bundles targets as build/fuzz/ts/NAME.cjs, whose `fuzz` reads an input. */
export async function bundleTargets(names) {
  await Promise.all(
    names.map((name) =>
      build({
        stdin: {
          contents: `import { target } from './${name}.ts';
            import { startOutsidePromises } from './support/settle.ts';
            import { limited } from './support/target.ts';
            startOutsidePromises();
            const { FUZZ_FINDING } = process.env;
            // Most inputs are refused, and to write down a stack takes longer than to refuse.
            if (FUZZ_FINDING !== undefined) Error.stackTraceLimit = 0;
            export const fuzz = limited(target, FUZZ_FINDING);
            export const { kind, mostBytes, quickRuns } = target;`,
          resolveDir: targets,
          sourcefile: `${name}.entry.ts`,
          loader: 'ts',
        },
        outfile: `${BUNDLES}/${name}.cjs`,
        bundle: true,
        platform: 'node',
        target: 'node20',
        format: 'cjs',
        // Through import() each use of a package would wait for the thread of the fuzzer's hooks for ES modules.
        supported: { 'dynamic-import': false },
        external: ['koffi', 'lzma-native', 'execa', 'cpio-stream', '@observablehq/plot', 'linkedom'],
        define: { 'import.meta.url': '__moduleUrl' },
        banner: { js: "const __moduleUrl=require('node:url').pathToFileURL(__filename).href;" },
        plugins: [memoryFiles],
        sourcemap: 'linked',
        logLevel: 'warning',
      }),
    ),
  );
}
