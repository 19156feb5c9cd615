// The shop: its customers ask for the new checkout through OpenFeature, and what comes of their visits is sent as events.
import { OFREPProvider } from '@openfeature/ofrep-provider'
import { type Client, OpenFeature } from '@openfeature/server-sdk'
import { createBatchId, formatBatchId } from '../../src/telemetry/events/batch-id.ts'
import { type Health, makeCustomer, visit } from './customers.ts'

const CUSTOMERS = 5_000
const FLAG = 'new-checkout'
/** What the shop also asks for, and what makes no difference to how a visit goes. */
const OTHER_FLAG = 'quick-reorder'
const RETRY_MS = 500

type Event = { readonly [field: string]: string | number }

export type Shop = {
  /** How the new checkout is from now on. */
  health: Health
  /** Lets some customers in, who check out, and sends what came of it. */
  readonly serve: (customers: number) => Promise<void>
  readonly close: () => Promise<void>
}

function eventsOf(unit: string, isNew: boolean, health: Health): Event[] {
  const { completed, failed, total, latencyMs } = visit(isNew, health, Math.random)
  // No tag: each event is about all that the customer was given, and a server's key is believed without.
  const common = { unit }
  return [
    { kind: 'measure', name: 'checkout-latency', value: latencyMs, ...common },
    ...(failed ? [{ kind: 'measure', name: 'checkout-error', value: 1, ...common }] : []),
    ...(completed ? [{ kind: 'track', name: 'checkout-completed', value: total, ...common }] : []),
  ]
}

/** Sends a batch until it is accepted: under one id, so that it counts once. */
export async function send(url: URL, key: string, events: readonly object[]): Promise<void> {
  const body = JSON.stringify({ id: formatBatchId(createBatchId(Date.now())), events })
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  for (;;) {
    const response = await fetch(new URL('/v1/events', url), { method: 'POST', headers, body }).catch(
      () => undefined,
    )
    if (response?.status === 202) return
    if (response && response.status !== 429 && response.status < 500) {
      throw new Error(`the events were refused: ${response.status} ${await response.text()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
  }
}

async function checkOut(client: Client, health: Health): Promise<Event[]> {
  const customer = makeCustomer(Math.floor(Math.random() * CUSTOMERS))
  const isNew = await client.getBooleanValue(FLAG, false, customer)
  await client.getBooleanValue(OTHER_FLAG, false, customer)
  return eventsOf(customer.targetingKey, isNew, health)
}

/** Opens the shop against a server. */
export async function openShop(url: URL, key: string): Promise<Shop> {
  const provider = new OFREPProvider({ baseUrl: url.origin, headers: [['Authorization', `Bearer ${key}`]] })
  await OpenFeature.setProviderAndWait('shop', provider)
  const client = OpenFeature.getClient('shop')
  const shop: Shop = {
    health: 'fine',
    async serve(customers) {
      const visits = Array.from({ length: customers }, () => checkOut(client, shop.health))
      const events = (await Promise.all(visits)).flat()
      if (events.length > 0) await send(url, key, events)
    },
    close: () => OpenFeature.close(),
  }
  return shop
}
