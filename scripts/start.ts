// `npm start`: everything on this machine, with a demo in it, kept in .wrangler/state.
import { resolve } from 'node:path'
import { CLIENT_KEY, SERVER_KEY } from './demo-catalog.ts'
import { seed } from './seed.ts'
import { build, startServer } from './server.ts'

const PORT = Number(process.env.PORT ?? 8787)
/** Where the data is kept. */
const STATE = resolve(process.env.RAMPART_STATE ?? '.wrangler/state')
const ADMIN_TOKEN = 'local-admin'
const TICK_MS = 60_000

process.stdout.write('Building…\n')
await build()
const server = await startServer({
  port: PORT,
  persist: STATE,
  adminToken: ADMIN_TOKEN,
})
const seeded = await seed(server, ADMIN_TOKEN)
const address = `http://localhost:${server.url.port}`

process.stdout.write(`
Rampart runs on ${address}${seeded ? ', with a demo shop in it' : ', with the data that it had'}.

  admin token   ${ADMIN_TOKEN}
  server key    ${SERVER_KEY}
  client key    ${CLIENT_KEY}

Ask it for a flag:

  curl -s ${address}/ofrep/v1/evaluate/flags/new-checkout \\
    -H 'Authorization: Bearer ${SERVER_KEY}' \\
    -H 'Content-Type: application/json' \\
    -d '{"context":{"targetingKey":"ada","country":"IE"}}'

Ctrl-C stops it; the data stays in ${STATE}.
`)

setInterval(() => {
  server.tick().catch((error: unknown) => console.error('the tick failed', error))
}, TICK_MS)
