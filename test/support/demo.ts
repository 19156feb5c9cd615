// The demo shop of `npm start`, put into a deployment through the management API.
import {
  CLIENT_KEY,
  DEMO_KEYS,
  ENVIRONMENTS,
  FLAGS,
  SEGMENTS,
  SERVER_KEY,
} from '../../scripts/demo-catalog.ts'
import { hashKey } from '../../src/access/key.ts'
import { api, configure, createSegment, from, putFlag } from './worker.ts'

export { CLIENT_KEY, SERVER_KEY }

/** Makes all of the demo's environments, segments, flags, configurations and keys. */
export async function seedDemo(): Promise<void> {
  for (const { key, ...environment } of ENVIRONMENTS) {
    await api('PUT', `/environments/${key}`, environment, from(0))
    for (const { key: segment, ...draft } of SEGMENTS) await createSegment(key, segment, draft)
  }
  for (const { key, configurations: _, ...flag } of FLAGS) await putFlag(key, flag)
  for (const { key, configurations } of FLAGS) {
    for (const [environment, configuration] of Object.entries(configurations)) {
      await configure(environment, key, configuration)
    }
  }
  for (const { environment, kind, key } of DEMO_KEYS) {
    const hash = await hashKey(key)
    await api('POST', `/environments/${environment}/keys`, { kind, name: 'Demo', hash })
  }
}

const COUNTRIES = ['IE', 'DE', 'FR', 'US', 'IS', 'GB', 'FO']
const PEOPLE = ['ada', 'grace', 'mallory', 'linus']

/** Customers of the shop: those that its flags name, and others of every kind; the same in every run. */
export function demoContexts(size: number): { readonly [attribute: string]: unknown }[] {
  const day = (index: number) => `20${18 + (index % 9)}-0${1 + (index % 9)}-1${index % 10}`
  return Array.from({ length: size }, (_, index) => ({
    ...(index % 29 === 0 ? {} : { targetingKey: PEOPLE[index] ?? `customer-${index}` }),
    ...(index % 5 === 0 ? { email: `c${index}@${index % 10 === 0 ? 'shop' : 'mail'}.example` } : {}),
    ...(index % 7 === 0 ? { beta: index % 14 === 0 } : {}),
    country: COUNTRIES[index % COUNTRIES.length],
    company: {
      id: `company-${index % 23}`,
      plan: index % 4 === 0 ? 'business' : 'free',
      blocked: index % 12 === 0,
    },
    customerSince: day(index),
    orders: index % 17,
    platform: index % 2 === 0 ? 'android' : 'ios',
    appVersion: `4.${index % 10}.${index % 4}`,
    interests: index % 6 === 0 ? ['skiing'] : ['books'],
    ip: index % 3 === 0 ? `10.20.${index % 256}.1` : `192.0.2.${index % 256}`,
  }))
}
