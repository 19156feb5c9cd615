// What the deployments are filled with: documents as `POST /api/v1/import` takes them.
import { createHash } from 'node:crypto'
import { readSnapshotText } from '../../src/engine/snapshot-text.ts'
import { createRandom } from '../support/random.ts'
import { makeSnapshotText } from '../support/snapshot-text.ts'

/** An environment that is to be there. */
export type Wanted = { readonly key: string; readonly refreshSeconds: number }

/** What a flag is in one environment, as it is sent. */
export type Configuration = {
  readonly enabled: boolean
  readonly targets: readonly { readonly variant: string; readonly units: readonly string[] }[]
  readonly [field: string]: unknown
}

/** A flag in a document. */
export type DocumentFlag = {
  readonly key: string
  readonly description: string
  readonly owner: string
  readonly tags: readonly string[]
  readonly configurations: { readonly [environment: string]: Configuration }
}

/** One that is searched for: its description has two words that one flag in 500 has. */
export const RARE_WORDS = ['holiday', 'voucher'] as const
const RARE_EVERY = 500

const WORDS = [
  'checkout',
  'search',
  'banner',
  'price',
  'invoice',
  'mobile',
  'beta',
  'summary',
  'export',
  'cart',
]
const TAGS = ['experiment', 'release', 'operations', 'permission', 'pricing', 'web', 'ios', 'android']
/** Makes a flag of three rules weigh about 1 KB. */
const TARGETED_UNITS = 1

/** The server key of an environment. */
export function serverKey(environment: string): string {
  return `rp_server_${environment}_bench`
}

function makeEnvironment({ key, refreshSeconds }: Wanted, segments: ReadonlyMap<string, string>) {
  return {
    key,
    name: key,
    refreshSeconds,
    ...{ protected: false, keepContexts: false, contextKeys: [], shards: 2 },
    segments: [...segments].map(([segment, text]) => ({
      key: segment,
      description: '',
      ...JSON.parse(text),
    })),
    keys: [
      {
        id: `key-${key}`,
        kind: 'server',
        name: 'Bench',
        hash: createHash('sha256').update(serverKey(key)).digest('hex'),
        createdAt: 0,
        expiresAt: null,
        revokedAt: null,
      },
    ],
  }
}

/** Makes a document of so many flags, each alike in all environments. */
export function makeDocument(flagCount: number, wanted: readonly Wanted[]) {
  const random = createRandom(5)
  const snapshot = readSnapshotText(makeSnapshotText(flagCount, TARGETED_UNITS))
  if (!snapshot.ok) throw new Error(snapshot.error)
  const { flags = new Map(), segments = new Map() } = snapshot.value.sections
  const made = [...flags].map(([key, text], index): DocumentFlag => {
    const { type, variants, metadata, clientVisible, ...configuration } = JSON.parse(text)
    const words = Array.from({ length: 4 }, () => random.pick(WORDS))
    const rare = index % RARE_EVERY === RARE_EVERY / 2 ? RARE_WORDS : []
    return {
      ...{ key, type, variants, metadata, clientVisible, temporary: false, archivedAt: null },
      description: [...words, ...rare].join(' '),
      owner: metadata.owner,
      tags: [random.pick(TAGS)],
      configurations: Object.fromEntries(wanted.map((environment) => [environment.key, configuration])),
    }
  })
  const document = {
    format: 'rampart-export',
    formatVersion: 1,
    exportedAt: 0,
    environments: wanted.map((environment) => makeEnvironment(environment, segments)),
    flags: made,
    members: [],
    tokens: [],
  }
  return { flags: made, text: JSON.stringify(document) }
}

/** A configuration with another single unit targeted, by number: an everyday change that moves nobody else. */
export function changed({ targets, ...configuration }: Configuration, change: number): Configuration {
  const [first, ...others] = targets
  if (!first) throw new Error('the flag targets nobody')
  return { ...configuration, targets: [{ ...first, units: [`unit-${change}`] }, ...others] }
}
