// A small shop's flags: what `npm start` shows, and what the system tests ask for.
import type { Condition, Serve } from '../src/engine/flag.ts'

export const SERVER_KEY = 'rp_server_production_demo'
export const CLIENT_KEY = 'rp_client_production_demo'

/** Keys of the local demo alone; a deployment makes its own. */
export const DEMO_KEYS = [
  { environment: 'production', kind: 'server', key: SERVER_KEY },
  { environment: 'production', kind: 'client', key: CLIENT_KEY },
  { environment: 'staging', kind: 'server', key: 'rp_server_staging_demo' },
  { environment: 'staging', kind: 'client', key: 'rp_client_staging_demo' },
] as const

export const ENVIRONMENTS = [
  { key: 'production', name: 'Production', refreshSeconds: 10 },
  { key: 'staging', name: 'Staging', refreshSeconds: 5 },
]

const is = (attribute: string, ...values: (string | number | boolean)[]): Condition => ({
  attribute,
  op: 'in',
  values,
})

type SegmentDraft = {
  readonly key: string
  readonly description: string
  readonly condition: Condition | null
  readonly included?: readonly string[]
  readonly excluded?: readonly string[]
}

export const SEGMENTS: readonly SegmentDraft[] = [
  {
    key: 'employees',
    description: 'People who work here',
    condition: { attribute: 'email', op: 'ends-with', values: ['@shop.example'] },
    included: ['grace'],
    excluded: ['mallory'],
  },
  {
    key: 'beta-testers',
    description: 'Asked to see things early',
    condition: is('beta', true),
    included: ['linus'],
  },
  {
    key: 'eu',
    description: 'Customers in the European Union, as the edge or the application knows it',
    condition: {
      any: [is('cf.country', ...EU()), is('country', ...EU())],
    },
  },
  {
    key: 'loyal',
    description: 'Customers for more than a year with ten orders or more',
    condition: {
      all: [
        { attribute: 'customerSince', op: 'before', values: ['-365d'] },
        { attribute: 'orders', op: 'greater-or-equal', values: [10] },
      ],
    },
  },
  {
    key: 'insiders',
    description: 'Everyone who sees new things first',
    condition: { any: [{ segment: 'employees' }, { segment: 'beta-testers' }] },
  },
]

function EU(): string[] {
  return 'AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE'.split(' ')
}

export const METRICS = [
  { key: 'checkouts', event: 'checkout-completed', kind: 'conversion' },
  { key: 'checkout-errors', event: 'checkout-error', kind: 'error' },
  { key: 'checkout-latency', event: 'checkout-latency', kind: 'latency' },
  { key: 'order-value', event: 'checkout-completed', kind: 'mean' },
] as const

/** What watches over every rollout of the shop. */
export const GUARDRAILS = [
  { metric: 'checkout-errors', test: 'regression', action: 'rollback' },
  { metric: 'checkout-latency', test: 'regression', quantile: 0.95, tolerance: 0.25, action: 'rollback' },
  { metric: 'checkouts', test: 'regression', action: 'rollback' },
] as const

/** The rollout that `npm start` shows: it goes on from the tenth that has the new checkout already. */
export const CHECKOUT_PLAN = {
  flag: 'new-checkout',
  environment: 'production',
  variant: 'on',
  takeOver: true,
  stages: [
    { name: '10 %', percentage: 10, hold: '24h', minUnits: 500 },
    { name: '50 %', percentage: 50, hold: '24h', approval: true },
    { name: '95 %, 5 % held back', percentage: 95, hold: '7d' },
    { name: 'all', percentage: 100, hold: '0s' },
  ],
  guardrails: GUARDRAILS,
} as const

type Configuration = {
  readonly enabled: boolean
  readonly offVariant?: string | null
  readonly prerequisites?: readonly { flag: string; variants: readonly string[] }[]
  readonly targets?: readonly { variant: string; units: readonly string[] }[]
  readonly rules?: readonly { id: string; description?: string; when: Condition; serve: Serve }[]
  readonly fallthrough: Serve
}

type FlagDraft = {
  readonly key: string
  readonly type: 'boolean' | 'string' | 'number' | 'object'
  readonly variants: readonly { name: string; value: unknown }[]
  readonly description: string
  readonly owner: string
  readonly tags?: readonly string[]
  readonly temporary?: boolean
  readonly clientVisible?: boolean
  readonly metadata?: { readonly [key: string]: string | number | boolean }
  readonly configurations: { readonly production: Configuration; readonly staging: Configuration }
}

const ON_OFF = [
  { name: 'on', value: true },
  { name: 'off', value: false },
]
const on: Configuration = { enabled: true, offVariant: 'off', fallthrough: { variant: 'on' } }
const off: Configuration = { enabled: false, offVariant: 'off', fallthrough: { variant: 'on' } }

/** A split with seeds fixed here, so that the demo's people always fall on the same side. */
function split(seed: string, weights: { readonly [variant: string]: number }, by = 'targetingKey'): Serve {
  const entries = Object.entries(weights).map(([variant, weight]) => ({ variant, weight }))
  return { split: { weights: entries, by, seed } }
}

export const FLAGS: readonly FlagDraft[] = [
  {
    key: 'new-checkout',
    type: 'boolean',
    variants: ON_OFF,
    description: 'The checkout on one page',
    owner: 'payments',
    tags: ['checkout'],
    temporary: true,
    clientVisible: true,
    configurations: {
      production: {
        enabled: true,
        offVariant: 'off',
        targets: [{ variant: 'on', units: ['ada'] }],
        rules: [
          {
            id: 'insiders',
            description: 'We try it first',
            when: { segment: 'insiders' },
            serve: { variant: 'on' },
          },
          {
            id: 'ireland',
            description: 'The first region',
            when: { any: [is('country', 'IE'), is('cf.country', 'IE')] },
            serve: split('checkout-ireland', { on: 50, off: 50 }),
          },
        ],
        // A tenth of everyone else: a rollout takes over from here, and moves nobody. See seed.ts.
        fallthrough: split('checkout-all', { on: 10, off: 90 }),
      },
      staging: on,
    },
  },
  {
    key: 'quick-reorder',
    type: 'boolean',
    variants: ON_OFF,
    description: 'Order the same again, in one step',
    owner: 'payments',
    tags: ['checkout'],
    temporary: true,
    clientVisible: true,
    configurations: {
      production: { enabled: true, offVariant: 'off', fallthrough: { variant: 'off' } },
      staging: on,
    },
  },
  {
    key: 'express-pay',
    type: 'boolean',
    variants: ON_OFF,
    description: 'Wallet buttons above the form; needs the new checkout',
    owner: 'payments',
    tags: ['checkout'],
    clientVisible: true,
    configurations: {
      production: { ...on, prerequisites: [{ flag: 'new-checkout', variants: ['on'] }] },
      staging: { ...on, prerequisites: [{ flag: 'new-checkout', variants: ['on'] }] },
    },
  },
  {
    key: 'search-ranking',
    type: 'string',
    variants: [
      { name: 'classic', value: 'bm25' },
      { name: 'blended', value: 'bm25+vectors' },
      { name: 'vectors', value: 'vectors' },
    ],
    description: 'Which ranking the search uses',
    owner: 'search',
    clientVisible: false,
    metadata: { team: 'search', ticket: 'SHOP-412' },
    configurations: {
      production: {
        enabled: true,
        offVariant: 'classic',
        fallthrough: split('search-ranking', { classic: 80, blended: 15, vectors: 5 }),
      },
      staging: { enabled: true, offVariant: 'classic', fallthrough: { variant: 'vectors' } },
    },
  },
  {
    key: 'hero-banner',
    type: 'object',
    variants: [
      { name: 'spring', value: { title: 'Spring is here', image: 'spring.avif', href: '/spring' } },
      { name: 'sale', value: { title: 'Up to 40 % off', image: 'sale.avif', href: '/sale', badge: 'Sale' } },
      { name: 'plain', value: { title: 'Welcome', image: 'plain.avif', href: '/' } },
    ],
    description: 'What the front page opens with',
    owner: 'marketing',
    tags: ['front-page'],
    clientVisible: true,
    configurations: {
      production: {
        enabled: true,
        offVariant: 'plain',
        rules: [{ id: 'loyal', when: { segment: 'loyal' }, serve: { variant: 'sale' } }],
        fallthrough: { variant: 'spring' },
      },
      staging: { enabled: true, offVariant: 'plain', fallthrough: { variant: 'plain' } },
    },
  },
  {
    key: 'free-shipping-threshold',
    type: 'number',
    variants: [
      { name: 'low', value: 25 },
      { name: 'standard', value: 40 },
      { name: 'high', value: 60 },
    ],
    description: 'From which amount shipping costs nothing',
    owner: 'pricing',
    clientVisible: true,
    configurations: {
      production: {
        enabled: true,
        offVariant: 'standard',
        rules: [
          {
            id: 'eu',
            description: 'Cheaper within the Union',
            when: { segment: 'eu' },
            serve: { variant: 'low' },
          },
          { id: 'islands', when: is('country', 'IS', 'FO', 'GL'), serve: { variant: 'high' } },
        ],
        fallthrough: { variant: 'standard' },
      },
      staging: { enabled: true, offVariant: 'standard', fallthrough: { variant: 'standard' } },
    },
  },
  {
    key: 'reviews-per-page',
    type: 'number',
    variants: [
      { name: 'ten', value: 10 },
      { name: 'twenty', value: 20 },
    ],
    description: 'How many reviews load at once',
    owner: 'catalogue',
    clientVisible: true,
    configurations: {
      production: { enabled: true, offVariant: 'ten', fallthrough: { variant: 'twenty' } },
      staging: { enabled: true, offVariant: 'ten', fallthrough: { variant: 'twenty' } },
    },
  },
  {
    key: 'dark-mode',
    type: 'boolean',
    variants: ON_OFF,
    description: 'Whether the switch for the dark theme shows',
    owner: 'design',
    clientVisible: true,
    configurations: { production: on, staging: on },
  },
  {
    key: 'checkout/error-copy',
    type: 'string',
    variants: [
      { name: 'short', value: 'Payment failed. Try again.' },
      { name: 'helpful', value: 'Your bank said no. Nothing was charged: try again or use another card.' },
    ],
    description: 'What a customer reads when a payment fails',
    owner: 'payments',
    tags: ['copy', 'checkout'],
    clientVisible: true,
    configurations: {
      production: {
        enabled: true,
        offVariant: 'short',
        fallthrough: split('error-copy', { short: 50, helpful: 50 }, 'company.id'),
      },
      staging: { enabled: true, offVariant: 'short', fallthrough: { variant: 'helpful' } },
    },
  },
  {
    key: 'wholesale-prices',
    type: 'boolean',
    variants: ON_OFF,
    description: 'Net prices for business customers',
    owner: 'pricing',
    configurations: {
      production: {
        enabled: true,
        offVariant: 'off',
        rules: [
          {
            id: 'business',
            when: {
              all: [is('company.plan', 'business', 'enterprise'), { not: is('company.blocked', true) }],
            },
            serve: { variant: 'on' },
          },
        ],
        fallthrough: { variant: 'off' },
      },
      staging: on,
    },
  },
  {
    key: 'app-min-version',
    type: 'object',
    variants: [
      { name: 'current', value: { minimum: '4.2.0', recommended: '5.1.0', force: false } },
      { name: 'forced', value: { minimum: '5.0.0', recommended: '5.1.0', force: true } },
    ],
    description: 'Which versions of the app may still talk to us',
    owner: 'mobile',
    clientVisible: true,
    configurations: {
      production: {
        enabled: true,
        offVariant: 'current',
        rules: [
          {
            id: 'broken-android',
            description: 'Payments crash below 4.8.2',
            when: {
              all: [
                is('platform', 'android'),
                { attribute: 'appVersion', op: 'semver', values: ['>=4.0.0 <4.8.2'] },
              ],
            },
            serve: { variant: 'forced' },
          },
        ],
        fallthrough: { variant: 'current' },
      },
      staging: { enabled: true, offVariant: 'current', fallthrough: { variant: 'current' } },
    },
  },
  {
    key: 'recommendations',
    type: 'string',
    variants: [
      { name: 'none', value: 'none' },
      { name: 'bestsellers', value: 'bestsellers' },
      { name: 'personal', value: 'personal' },
    ],
    description: 'What stands beside a product',
    owner: 'search',
    clientVisible: true,
    configurations: {
      production: {
        enabled: true,
        offVariant: null,
        rules: [
          {
            id: 'winter-campaign',
            when: {
              all: [
                { attribute: 'now', op: 'after', values: ['2026-11-27T00:00:00Z'] },
                { attribute: 'interests', op: 'contains-any', values: ['skiing', 'snow'] },
              ],
            },
            serve: { variant: 'personal' },
          },
        ],
        fallthrough: split('recommendations', { bestsellers: 1, personal: 1 }),
      },
      staging: { enabled: true, offVariant: null, fallthrough: { variant: 'personal' } },
    },
  },
  {
    key: 'office-network-tools',
    type: 'boolean',
    variants: ON_OFF,
    description: 'Debug panel, on the office network and for employees only',
    owner: 'platform',
    configurations: {
      production: {
        enabled: true,
        offVariant: 'off',
        rules: [
          {
            id: 'office',
            when: {
              all: [
                { segment: 'employees' },
                { attribute: 'ip', op: 'cidr', values: ['10.20.0.0/16', '2001:db8:20::/48'] },
              ],
            },
            serve: { variant: 'on' },
          },
        ],
        fallthrough: { variant: 'off' },
      },
      staging: on,
    },
  },
  {
    key: 'legacy-importer',
    type: 'boolean',
    variants: ON_OFF,
    description: 'The old product importer; switched off, to be removed',
    owner: 'catalogue',
    temporary: true,
    configurations: { production: off, staging: off },
  },
  {
    key: 'gift-cards',
    type: 'boolean',
    variants: ON_OFF,
    description: 'Gift cards in the shop',
    owner: 'payments',
    clientVisible: true,
    configurations: {
      production: { enabled: false, offVariant: null, fallthrough: { variant: 'on' } },
      staging: on,
    },
  },
]
