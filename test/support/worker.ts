// What the tests in workerd share: the Worker's doors as clients see them, builders with valid defaults, and bindings
// that count or fail. Nothing of ours is mocked: faults are made in what the platform hands the code.
import { createExecutionContext, runDurableObjectAlarm, waitOnExecutionContext } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { afterEach, beforeEach, vi } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import { snapshotCache } from '../../src/delivery/snapshot-cache.ts'
import worker, { Flags } from '../../src/index.ts'

export const ORIGIN = 'https://rampart.test'
export const SINGLE = '/ofrep/v1/evaluate/flags/'
export const BULK = '/ofrep/v1/evaluate/flags'

/** A response, read to its end; the body is null where there is none. */
export type Answer = { readonly status: number; readonly headers: Headers; readonly body: unknown }

type Sending = {
  readonly method?: string
  /** An evaluation key. */
  readonly key?: string
  readonly headers?: { readonly [name: string]: string }
  /** Sent as JSON. */
  readonly json?: unknown
  readonly body?: BodyInit
  /** What Cloudflare says of where the request comes from. */
  readonly cf?: IncomingRequestCfProperties | { readonly [name: string]: string }
}

let names = 0

/** A name that no other test of the file has. */
export function uniqueName(prefix: string): string {
  names++
  return `${prefix}-${names}`
}

/**
 * A request from an address of its own, so that the limit on failed attempts never gets in the way of a test that is
 * not about it.
 */
export function makeRequest(path: string, { method = 'POST', key, headers, json, body, cf }: Sending = {}) {
  names++
  const request = new Request(ORIGIN + path, {
    method,
    headers: {
      'cf-connecting-ip': `2001:db8::${names.toString(16)}`,
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(json === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
      ...headers,
    },
    body: json === undefined ? (body ?? null) : JSON.stringify(json),
  })
  return cf === undefined ? request : new Request(request, { cf })
}

/** Reads a response to its end. */
export async function read(response: Response): Promise<Answer> {
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) }
}

/** Asks the Worker as the outside does. */
export async function ask(path: string, sending: Sending = {}): Promise<Answer> {
  return read(await exports.default.fetch(makeRequest(path, sending)))
}

/** Hands a request to the Worker together with bindings of the test's own; `settled` is what goes on after the answer. */
export async function serve(request: Request, bindings: Bindings) {
  const context = createExecutionContext()
  const response = await worker.fetch(request, bindings, context)
  return { response, settled: () => waitOnExecutionContext(context) }
}

/** The RPC entrypoint with bindings of the test's own, as a service binding that names `environment` gets it. */
export function makeFlags(environment: string | undefined, bindings: Bindings) {
  const context = createExecutionContext()
  const props = environment === undefined ? {} : { environment }
  const flags = new Flags(Object.defineProperty(context, 'props', { value: props }), bindings)
  return { flags, settled: () => waitOnExecutionContext(context) }
}

/** Evaluates one flag; the key is encoded as most clients do. */
export function evaluate(
  key: string,
  flag: string,
  context?: unknown,
  sending: Sending = {},
): Promise<Answer> {
  return ask(SINGLE + encodeURIComponent(flag), { key, json: { context }, ...sending })
}

/** Evaluates all flags. */
export function evaluateAll(key: string, context?: unknown, sending: Sending = {}): Promise<Answer> {
  return ask(BULK, { key, json: { context }, ...sending })
}

/** A field of a body that is not known to be an object. */
export function field(body: unknown, name: string): unknown {
  return Reflect.get(Object(body), name)
}

/** Calls the management API as the administrator. */
export function api(
  method: string,
  path: string,
  json?: unknown,
  headers: { readonly [name: string]: string } = {},
): Promise<Answer> {
  return ask(`/api/v1${path}`, {
    method,
    headers: { authorization: 'Bearer test-admin', ...headers },
    ...(json === undefined ? {} : { json }),
  })
}

/** A management call that must succeed; its body. */
async function succeed(answer: Promise<Answer>): Promise<unknown> {
  const { status, body } = await answer
  if (status >= 300) throw new Error(`refused with ${status}: ${JSON.stringify(body)}`)
  return body
}

/** The header that says what a change was made from; 0 for what is new. */
export function from(revision: number): { readonly [name: string]: string } {
  return revision === 0 ? { 'if-none-match': '*' } : { 'if-match': `"${revision}"` }
}

export const ON_OFF = [
  { name: 'on', value: true },
  { name: 'off', value: false },
]

export function putFlag(key: string, draft: object = {}, revision = 0): Promise<Answer> {
  const path = `/flags/${encodeURIComponent(key)}`
  return api('PUT', path, { type: 'boolean', variants: ON_OFF, ...draft }, from(revision))
}

export function putConfiguration(
  environment: string,
  flag: string,
  draft: object = {},
  revision = 1,
): Promise<Answer> {
  const path = `/flags/${encodeURIComponent(flag)}/environments/${environment}`
  return api('PUT', path, { enabled: true, fallthrough: { variant: 'on' }, ...draft }, from(revision))
}

export function putSegment(
  environment: string,
  segment: string,
  draft: object = {},
  revision = 0,
): Promise<Answer> {
  return api('PUT', `/environments/${environment}/segments/${segment}`, draft, from(revision))
}

/** Makes an environment of its own for a test; its key. */
export async function createEnvironment(draft: object = {}): Promise<string> {
  const key = uniqueName('environment')
  await succeed(api('PUT', `/environments/${key}`, { name: key, ...draft }, from(0)))
  return key
}

/** Makes a flag: boolean, on or off, switched off in every environment there is. */
export async function createFlag(key: string, draft: object = {}): Promise<void> {
  await succeed(putFlag(key, draft))
}

/** Configures a flag in an environment: switched on, serving `on`; for the first time unless a revision says else. */
export async function configure(
  environment: string,
  flag: string,
  draft: object = {},
  revision = 1,
): Promise<void> {
  await succeed(putConfiguration(environment, flag, draft, revision))
}

export async function createSegment(environment: string, segment: string, draft: object = {}): Promise<void> {
  await succeed(putSegment(environment, segment, draft))
}

/** Makes an evaluation key. */
export async function createKey(environment: string, kind: 'server' | 'client' = 'server') {
  const body = await succeed(api('POST', `/environments/${environment}/keys`, { kind, name: 'test' }))
  return { id: String(field(body, 'id')), key: String(field(body, 'key')) }
}

/** Lets this isolate's own cache hold the environment's newest version, confirmed just now. */
export async function warm(environment: string): Promise<void> {
  const pending: Promise<unknown>[] = []
  const waitUntil = (work: Promise<unknown>) => void pending.push(work)
  await snapshotCache.acquire(env, environment, waitUntil)
  await Promise.all(pending)
  snapshotCache.freshen(env, environment, Number.NEGATIVE_INFINITY, waitUntil)
  await Promise.all(pending)
}

/** Lets the hub put in KV what rides along with an earlier put. */
export async function flushKv(environment: string): Promise<void> {
  moveClock(1_000)
  await runDurableObjectAlarm(env.HUB.getByName(environment))
}

/** Keeps what is logged of faults that tests make on purpose out of their output; for a `describe` or a file. */
export function silenceLogs(): void {
  const levels = ['warn', 'error'] as const
  beforeEach(() => {
    for (const level of levels) vi.spyOn(console, level).mockImplementation(() => {})
  })
  afterEach(() => {
    for (const level of levels) vi.spyOn(console, level).mockRestore()
  })
}

const runningClock = Date.now
let stoppedAt: number | undefined
let offset = 0

/**
 * Moves the clock of the whole isolate forward, Durable Objects included; timers keep their pace. Alarms are then set
 * ahead of the platform's own clock, so that they run when a test says so.
 */
export function moveClock(milliseconds: number): void {
  offset += milliseconds
  vi.spyOn(Date, 'now').mockImplementation(() => (stoppedAt ?? runningClock()) + offset)
}

/** Stops the clock: it moves when a test moves it, and not otherwise. */
export function stopClock(): void {
  stoppedAt = runningClock()
  moveClock(0)
}

type Methods = { readonly [name: string]: (...values: never[]) => unknown }

function methodOf(target: object, property: string | symbol): unknown {
  const own: unknown = Reflect.get(target, property, target)
  if (typeof own !== 'function') return own
  return (...values: unknown[]) => Reflect.apply(own, target, values)
}

/** A binding with some of its methods replaced; the others are its own. */
export function override<T extends object>(binding: T, methods: Methods): T {
  return new Proxy(binding, {
    get(target, property) {
      const replaced = typeof property === 'string' && Object.hasOwn(methods, property)
      return replaced ? methods[property] : methodOf(target, property)
    },
  })
}

export function withKv(bindings: Bindings, methods: Methods): Bindings {
  return { ...bindings, SNAPSHOTS: override(bindings.SNAPSHOTS, methods) }
}

/** Lets KV have what a test says, whichever way it is read. */
export function withReadings(
  bindings: Bindings,
  get: (key: string) => Promise<string | null>,
  metadata: object | null = null,
): Bindings {
  const getWithMetadata = async (key: string) => ({ value: await get(key), metadata })
  return withKv(bindings, { get, getWithMetadata })
}

export function withDatabase(bindings: Bindings, methods: Methods): Bindings {
  return { ...bindings, DB: override(bindings.DB, methods) }
}

/** Replaces methods of every hub. */
export function withHub(bindings: Bindings, methods: Methods): Bindings {
  const getByName = (name: string) => override(bindings.HUB.getByName(name), methods)
  return { ...bindings, HUB: override(bindings.HUB, { getByName }) }
}

/** Replaces methods of event shards, by their names. */
export function withShards(bindings: Bindings, methodsOf: (name: string) => Methods): Bindings {
  const getByName = (name: string) => override(bindings.EVENTS.getByName(name), methodsOf(name))
  return { ...bindings, EVENTS: override(bindings.EVENTS, { getByName }) }
}

export const unreachable = () => Promise.reject(new Error('unreachable'))
/** Never answers, as a call does whose request was cut off. */
export const silent = () => new Promise<never>(() => {})

export const HUB_DOWN: Methods = { newer: unreachable, whole: unreachable, publish: unreachable }
export const KV_DOWN: Methods = { get: unreachable, getWithMetadata: unreachable, put: unreachable }

function recorded<T extends object>(binding: T, name: string, calls: string[]): T {
  return new Proxy(binding, {
    get(target, property) {
      const own = methodOf(target, property)
      if (typeof own !== 'function') return own
      return (...values: unknown[]) => {
        // Whether KV is read with or without metadata makes no difference to what it costs.
        const method = String(property).replace(/^get(WithMetadata)?$/, 'read')
        calls.push(`${name}.${method}${typeof values[0] === 'string' ? ` ${values[0]}` : ''}`)
        return Reflect.apply(own, target, values)
      }
    },
  })
}

/** Bindings that write down what they are asked: `KV.read snapshot:production`, `HUB.newer`, `DB.prepare SELECT …`. */
export function record(bindings: Bindings): { readonly bindings: Bindings; readonly calls: string[] } {
  const calls: string[] = []
  return {
    calls,
    bindings: {
      ...bindings,
      SNAPSHOTS: recorded(bindings.SNAPSHOTS, 'KV', calls),
      DB: recorded(bindings.DB, 'DB', calls),
      SIGN_IN_LIMIT: recorded(bindings.SIGN_IN_LIMIT, 'SIGN_IN_LIMIT', calls),
      EVALUATION_LIMIT: recorded(bindings.EVALUATION_LIMIT, 'EVALUATION_LIMIT', calls),
      HUB: override(bindings.HUB, {
        getByName: (name: string) => recorded(bindings.HUB.getByName(name), 'HUB', calls),
      }),
    },
  }
}
