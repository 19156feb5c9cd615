import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'sqlite',
  schema: [
    './src/ledger/tables.ts',
    './src/access/tables.ts',
    './src/catalog/tables.ts',
    './src/notifications/tables.ts',
    './src/rollouts/tables.ts',
  ],
  out: './migrations',
})
