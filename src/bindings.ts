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
  /** What happened in each environment, in several `EventShard`s. */
  readonly EVENTS: DurableObjectNamespace
  /** One `RolloutClock` for each environment. */
  readonly CLOCK: DurableObjectNamespace
  /** Failed key checks and sign-ins by address. */
  readonly SIGN_IN_LIMIT: RateLimit
  /** Evaluation requests by key, in thousands. */
  readonly EVALUATION_LIMIT: RateLimit
  /** The first administrator's token, until others exist; a secret. */
  readonly ADMIN_TOKEN?: string
  /** Where the dashboard is, for links in notifications: `https://rampart.example.com`. */
  readonly PUBLIC_URL?: string
  /** `true`: webhooks may go to private and loopback addresses, and by plain HTTP. */
  readonly ALLOW_PRIVATE_WEBHOOKS?: string
  /** Sends e-mail, where the platform's binding is configured. */
  readonly EMAIL?: SendEmail
  /** From whom e-mail comes. */
  readonly EMAIL_FROM?: string
  /** Cloudflare Access in front of the management API: `<team>` of `<team>.cloudflareaccess.com`. */
  readonly ACCESS_TEAM?: string
  /** The audience tag of its application; without one, no identity of Access is believed. */
  readonly ACCESS_AUDIENCE?: string
  /** An OIDC issuer whose bearer JWTs are believed: its `iss`, letter by letter. */
  readonly OIDC_ISSUER?: string
  /** Whom those JWTs must be for: their `aud`; without one, none is believed. */
  readonly OIDC_AUDIENCE?: string
  /** Where that issuer's keys are, if not where its `/.well-known/openid-configuration` says. */
  readonly OIDC_JWKS_URL?: string
}
