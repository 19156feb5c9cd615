import { resolve } from 'node:path'
import { build as bundle } from 'vite'
import { build } from '../../scripts/server.ts'

/** Builds what is deployed, and what the tests put beside it: a second Worker and a page. Once for all of them. */
export default async function setup(): Promise<void> {
  await build()
  await bundle({
    configFile: false,
    logLevel: 'error',
    ssr: { target: 'webworker', noExternal: true },
    build: {
      ssr: resolve('test/system/consumer/worker.ts'),
      outDir: resolve('test/system/consumer/dist'),
      emptyOutDir: true,
      rollupOptions: { output: { entryFileNames: 'worker.js' } },
    },
  })
  await bundle({
    root: resolve('test/system/page'),
    configFile: false,
    base: './',
    logLevel: 'error',
    build: { emptyOutDir: true },
  })
}
