import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

/** Tests of pure code, wherever their rooms are: they need no workerd. */
const PURE = [
  'test/catalog/{describe-condition,diff,merge-patch}.test.ts',
  'test/telemetry/tally-buffer.test.ts',
]

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'core',
          include: ['test/engine/**/*.test.ts', 'test/scripts/**/*.test.ts', ...PURE],
          environment: 'node',
          // Machines are shared: a property test may have to wait for its turn.
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          environment: 'node',
          globalSetup: ['./test/system/build.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: './wrangler.toml' },
            remoteBindings: false,
            miniflare: {
              bindings: { ADMIN_TOKEN: 'test-admin', MIGRATIONS: await readD1Migrations('./migrations') },
            },
          })),
        ],
        test: {
          name: 'worker',
          include: ['test/{access,catalog,delivery,http,ledger,telemetry}/**/*.test.ts'],
          exclude: PURE,
          setupFiles: ['./test/support/worker-setup.ts'],
        },
      },
    ],
  },
})
