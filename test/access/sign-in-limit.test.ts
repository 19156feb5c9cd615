import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clearLimited, countFailure, isLimited, type Plane } from '../../src/access/sign-in-limit.ts'
import type { Bindings } from '../../src/bindings.ts'
import { makeRequest, override, silenceLogs, unreachable } from '../support/worker.ts'

const PATHS = { evaluation: '/ofrep/v1/evaluate/flags', management: '/api/v1/flags' }

const from = (address: string, plane: Plane) =>
  makeRequest(PATHS[plane], { headers: { 'cf-connecting-ip': address } })

/** Bindings whose limit answers what it is told, and what it was asked. */
function limiting(limit: () => Promise<{ success: boolean }>) {
  const asked: unknown[] = []
  const asking = (options: unknown) => {
    asked.push(options)
    return limit()
  }
  const bindings: Bindings = { ...env, SIGN_IN_LIMIT: override(env.SIGN_IN_LIMIT, { limit: asking }) }
  return { bindings, asked }
}

const allow = async () => ({ success: true })
const refuse = async () => ({ success: false })

beforeEach(clearLimited)
silenceLogs()

describe('a failed attempt', () => {
  it.each<Plane>(['evaluation', 'management'])('is counted by plane and address: %s', async (plane) => {
    const { bindings, asked } = limiting(allow)
    expect(await countFailure(bindings, from('192.0.2.1', plane), plane)).toBe(false)
    expect(asked).toEqual([{ key: `${plane}:192.0.2.1` }])
    expect(isLimited(from('192.0.2.1', plane), plane, Date.now())).toBe(false)
  })

  it('without an address is counted all the same', async () => {
    const { bindings, asked } = limiting(allow)
    await countFailure(bindings, new Request('https://rampart.test/'), 'evaluation')
    expect(asked).toEqual([{ key: 'evaluation:unknown' }])
  })

  it.each<[Plane, Plane]>([
    ['evaluation', 'management'],
    ['management', 'evaluation'],
  ])(
    'too many on the %s plane shuts its address out there for a minute, not from %s',
    async (plane, other) => {
      const { bindings } = limiting(refuse)
      const before = Date.now()
      expect(await countFailure(bindings, from('192.0.2.1', plane), plane)).toBe(true)
      const after = Date.now()
      expect([
        isLimited(from('192.0.2.1', plane), plane, before + 59_999),
        isLimited(from('192.0.2.1', plane), plane, after + 60_000),
        isLimited(from('192.0.2.1', other), other, before),
        isLimited(from('192.0.2.2', plane), plane, before),
      ]).toEqual([true, false, false, false])
    },
  )

  it('that cannot be counted shuts nobody out', async () => {
    const { bindings } = limiting(unreachable)
    expect(await countFailure(bindings, from('192.0.2.1', 'management'), 'management')).toBe(false)
    expect(isLimited(from('192.0.2.1', 'management'), 'management', Date.now())).toBe(false)
  })

  it('is forgotten with the isolate', async () => {
    const { bindings } = limiting(refuse)
    await countFailure(bindings, from('192.0.2.1', 'evaluation'), 'evaluation')
    clearLimited()
    expect(isLimited(from('192.0.2.1', 'evaluation'), 'evaluation', Date.now())).toBe(false)
  })
})
