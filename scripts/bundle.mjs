// Bundles the programs and the public interface, so that starting one reads one file and not two hundred.
import { readdirSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

// Native addons and what is loaded on rare occasions stay packages.
const external = ['koffi', 'lzma-native', 'execa', 'cpio-stream'];

// Chunks are named by their content, so those of an earlier build would stay.
for (const name of readdirSync('dist', { withFileTypes: true })) {
  if (name.isFile()) rmSync(`dist/${name.name}`);
}

await build({
  entryPoints: { 'virt-sandbox': 'src/cli/virt-sandbox.ts', index: 'src/index.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external,
  minify: true,
  keepNames: false,
  sourcemap: false,
  legalComments: 'none',
  // yargs is bundled from its CommonJS parts, which want a require.
  banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
  logLevel: 'warning',
});
