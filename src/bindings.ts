/** What wrangler.toml binds. `npm run check` compares the two. */
export type Bindings = {
  /** The dashboard's static files. */
  readonly ASSETS: Fetcher
  /** Everything that is configured, and its history. */
  readonly DB: D1Database
  /** Published snapshots, by environment. */
  readonly SNAPSHOTS: KVNamespace
  /** One `EnvironmentHub` for each environment. */
  readonly HUB: DurableObjectNamespace
  /** Failed key checks and sign-ins by address. */
  readonly SIGN_IN_LIMIT: RateLimit
  /** The first administrator's token, until others exist; a secret. */
  readonly ADMIN_TOKEN?: string
}
