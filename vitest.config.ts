import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

/** Tests of pure code, wherever their rooms are: they need no workerd. */
const PURE = [
  'test/catalog/{describe-condition,diff,layouts,measurement,merge-patch}.test.ts',
  'test/telemetry/isolate/{tally-buffer,exposures,trip-budget}.test.ts',
  'test/telemetry/{counting,events}/**/*.test.ts',
  'test/telemetry/shard/{batch-memory,commit-record}.test.ts',
  'test/telemetry/reading/{blocks,connection,event-names,journeys,prometheus,series,totals}.test.ts',
  'test/http/csv.test.ts',
  'test/rollouts/pure/**/*.test.ts',
  'test/notifications/pure/**/*.test.ts',
  'test/dashboard/**/*.test.ts',
]

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'core',
          include: ['test/{engine,scripts,statistics}/**/*.test.ts', ...PURE],
          environment: 'node',
          // They share nothing that changes.
          isolate: false,
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
          include: [
            'test/{access,catalog,delivery,http,ledger,notifications,rollouts,telemetry}/**/*.test.ts',
          ],
          exclude: PURE,
          setupFiles: ['./test/support/worker-setup.ts'],
        },
      },
    ],
  },
})
