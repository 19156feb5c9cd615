// One feature of the demo's shop, with metrics of its own: its customers ask for it through the published OpenFeature
// SDK, and what comes of their visits is sent as events.
import { OFREPProvider } from '@openfeature/ofrep-provider'
import { OpenFeature } from '@openfeature/server-sdk'
import { type Health, makeCustomer, visit } from '../../scripts/demo/customers.ts'
import { send } from '../../scripts/demo/shop.ts'
import type { Random } from '../support/random.ts'

const CUSTOMERS = 20_000
/** How often the customers of a feature come, and how many at a time: 60 a second. */
const EVERY_MS = 250
const AT_A_TIME = 15

/** A feature whose customers come and go. */
export type Feature = {
  readonly flag: string
  health: Health
  /** When somebody was last given the feature, in milliseconds since 1970. */
  lastGivenAt: number
  readonly close: () => Promise<void>
}

/** The names of a feature's events, which its metrics count. */
export const eventsOf = (flag: string) => ({ error: `${flag}-error`, completed: `${flag}-completed` })

/** Lets customers in from now on. */
export async function openFeature(url: URL, key: string, flag: string, random: Random): Promise<Feature> {
  const provider = new OFREPProvider({ baseUrl: url.origin, headers: [['Authorization', `Bearer ${key}`]] })
  await OpenFeature.setProviderAndWait(flag, provider)
  const client = OpenFeature.getClient(flag)
  const names = eventsOf(flag)
  let timer: NodeJS.Timeout | undefined
  const feature: Feature = {
    flag,
    health: 'fine',
    lastGivenAt: 0,
    close: async () => clearInterval(timer),
  }
  const serve = async (): Promise<object[]> => {
    const customer = makeCustomer(random.below(CUSTOMERS))
    const isNew = await client.getBooleanValue(flag, false, customer)
    if (isNew) feature.lastGivenAt = Date.now()
    const { failed, completed } = visit(isNew, feature.health, random.next)
    const common = { unit: customer.targetingKey }
    return [
      ...(failed ? [{ kind: 'measure', name: names.error, value: 1, ...common }] : []),
      ...(completed ? [{ kind: 'track', name: names.completed, ...common }] : []),
    ]
  }
  const serveAll = async () => {
    const events = (await Promise.all(Array.from({ length: AT_A_TIME }, serve))).flat()
    if (events.length > 0) await send(url, key, events)
  }
  timer = setInterval(() => void serveAll(), EVERY_MS)
  return feature
}
