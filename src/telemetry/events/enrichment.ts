// What the edge knows of the client that sends events: believed in place of whatever the client says of it.

/** Values by the paths of their attributes: `cf.country`, `device.class`, `bot`. */
export type EdgeAttributes = ReadonlyMap<string, string>

const CF_ATTRIBUTES = ['country', 'region', 'city', 'continent', 'colo', 'asn', 'timezone'] as const

const BOT =
  /(?<!cu)bot\b|bots?[/;-]|crawl|spider|slurp|headless|lighthouse|preview|externalhit|monitor|^(?:curl|wget|python|java|go-http|okhttp|axios|node|undici)\b/i
const TELEVISION = /smart-?tv|\btv\b|appletv|web0s|bravia|crkey|roku|xbox|playstation|nintendo/i
const TABLET = /ipad|tablet|playbook|kindle|silk(?!.*mobile)|android(?!.*mobi)/i
const MOBILE = /mobi|iphone|ipod|opera mini|windows phone/i
const DESKTOP = /windows nt|macintosh|x11|cros|linux/i

/** Cloudflare takes clients below this score for automated. */
const LIKELY_AUTOMATED = 30

/** What is looked at of a User-Agent, in characters. */
const MAX_USER_AGENT = 512

export type DeviceClass = 'bot' | 'mobile' | 'tablet' | 'desktop' | 'other'

/** What kind of device a User-Agent speaks for; an iPad that says that it is a Mac is taken for one. */
export function deviceClassOf(header: string): DeviceClass {
  const userAgent = header.slice(0, MAX_USER_AGENT)
  if (BOT.test(userAgent)) return 'bot'
  if (TELEVISION.test(userAgent)) return 'other'
  if (TABLET.test(userAgent)) return 'tablet'
  if (MOBILE.test(userAgent)) return 'mobile'
  return DESKTOP.test(userAgent) ? 'desktop' : 'other'
}

function isBotByCloudflare(cf: Request['cf']): boolean {
  const management = cf?.botManagement
  if (typeof management !== 'object' || management === null) return false
  const score: unknown = Reflect.get(management, 'score')
  const isLikely = typeof score === 'number' && score > 0 && score < LIKELY_AUTOMATED
  return Reflect.get(management, 'verifiedBot') === true || isLikely
}

/** What is known of the client behind a request. */
export function edgeAttributesOf(request: Request): EdgeAttributes {
  const attributes = new Map<string, string>()
  for (const name of CF_ATTRIBUTES) {
    const value: unknown = request.cf?.[name]
    if (typeof value === 'string' || typeof value === 'number') attributes.set(`cf.${name}`, String(value))
  }
  const device = deviceClassOf(request.headers.get('user-agent') ?? '')
  const isBot = device === 'bot' || isBotByCloudflare(request.cf)
  return attributes.set('device.class', isBot ? 'bot' : device).set('bot', String(isBot))
}

/** Whether an attribute is the edge's to say. */
export function isEdgePath(path: string): boolean {
  return path === 'bot' || path === 'device.class' || path === 'cf' || path.startsWith('cf.')
}
