import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Actor, Grant } from '../../src/access/actor.ts'
import { type AccessChange, commitAccess } from '../../src/access/commit-access.ts'
import { memberRemoval, memberSave } from '../../src/access/members.ts'
import { currentActor } from '../../src/access/standing.ts'
import { createToken, type Token, tokenCreation, tokenRevocation } from '../../src/access/tokens.ts'
import { uniqueName } from '../support/worker.ts'

const NOW = 1_772_366_400_000

const newEmail = () => `${uniqueName('ada')}@example.com`

function makeActor(overrides: Partial<Actor> = {}): Actor {
  return { id: newEmail(), via: 'jwt', role: 'releaser', environments: ['production'], ...overrides }
}

async function change(action: string, key: string, { guards = [], writes = [] }: Partial<AccessChange>) {
  const fault = await commitAccess(
    env.DB,
    {
      action,
      target: { kind: action.startsWith('token') ? 'token' : 'member', key },
      details: {},
      guards,
      writes,
      answer: { status: 200, body: {}, shows: [] },
    },
    { actor: 'admin', via: 'admin', comment: '', now: NOW, requestId: 'r1' },
  )
  expect(fault).toBeUndefined()
}

const save = (id: string, grant: Grant, revision = 0) =>
  change('member.save', id, memberSave({ id, name: '', ...grant }, revision, NOW))
const remove = (id: string) => change('member.remove', id, memberRemoval(id, 1, NOW))

async function issue(overrides: Partial<Token> = {}): Promise<Token> {
  const token: Token = {
    id: createToken().id,
    name: 'ci',
    owner: 'ci',
    role: 'releaser',
    environments: ['production', 'staging'],
    createdBy: 'admin',
    createdAt: NOW,
    expiresAt: null,
    revokedAt: null,
    ...overrides,
  }
  await change('token.create', token.id, { writes: tokenCreation(token, uniqueName('hash')) })
  return token
}

describe('somebody who was recorded', () => {
  it('as the administrator is that still', async () => {
    const admin = makeActor({ id: 'admin', via: 'admin', role: 'admin', environments: null })
    expect(await currentActor(env.DB, admin, NOW)).toEqual(admin)
  })

  it.each<[string, Grant]>([
    ['less', { role: 'viewer', environments: [] }],
    ['more', { role: 'admin', environments: null }],
  ])('may do what their own row says today: %s', async (_, grant) => {
    const actor = makeActor()
    await save(actor.id, grant)
    expect(await currentActor(env.DB, actor, NOW)).toEqual({ id: actor.id, via: 'jwt', ...grant })
  })

  it('by their claims may do what they could', async () => {
    const actor = makeActor()
    expect(await currentActor(env.DB, actor, NOW)).toEqual(actor)
  })

  it.each<[string, number | undefined, boolean]>([
    ['may do nothing once their row was removed', NOW - 1, false],
    ['may do nothing once their row was removed at that moment', NOW, false],
    ['by their claims may do what they could although their row was removed before', NOW + 1, true],
    ['may do nothing when nobody knows what came first', undefined, false],
  ])('%s', async (_, since, isAllowed) => {
    const actor = makeActor()
    await save(actor.id, { role: 'admin', environments: null })
    await remove(actor.id)
    const other = makeActor()
    expect(await currentActor(env.DB, actor, NOW + 9, since)).toEqual(isAllowed ? actor : undefined)
    expect(await currentActor(env.DB, other, NOW + 9, since)).toEqual(other)
  })

  it('may do what a new row says, although an older one was removed', async () => {
    const actor = makeActor()
    await save(actor.id, { role: 'admin', environments: null })
    await remove(actor.id)
    await save(actor.id, { role: 'developer', environments: null })
    expect(await currentActor(env.DB, actor, NOW)).toMatchObject({ role: 'developer' })
  })

  it('with a token may do what that may for its owner today', async () => {
    const owner = newEmail()
    const { id } = await issue({ owner })
    const actor = makeActor({
      id: owner,
      via: `token:${id}`,
      issuedBy: 'admin',
      role: 'admin',
      environments: null,
    })
    const own: Grant = { role: 'releaser', environments: ['production', 'staging'] }
    expect(await currentActor(env.DB, actor, NOW)).toEqual({ ...actor, ...own })
    await save(owner, { role: 'developer', environments: ['staging'] })
    const less: Grant = { role: 'developer', environments: ['staging'] }
    expect(await currentActor(env.DB, actor, NOW)).toEqual({ ...actor, ...less })
    await remove(owner)
    expect(await currentActor(env.DB, actor, NOW)).toBeUndefined()
  })

  it('with a token may do nothing once it has ended', async () => {
    const { id, owner } = await issue({ expiresAt: NOW + 10 })
    const actor = makeActor({ id: owner, via: `token:${id}` })
    expect(await currentActor(env.DB, actor, NOW + 9)).toMatchObject({ id: owner })
    expect(await currentActor(env.DB, actor, NOW + 10)).toBeUndefined()
  })

  it('with a token may do nothing once it is revoked', async () => {
    const { id, owner } = await issue()
    await change('token.revoke', id, tokenRevocation(id, NOW))
    expect(await currentActor(env.DB, makeActor({ id: owner, via: `token:${id}` }), NOW)).toBeUndefined()
  })

  it.each(['token:000000000000', 'token:', 'tick', ''])(
    'in a way that nobody knows may do nothing: %j',
    async (via) => {
      expect(await currentActor(env.DB, makeActor({ via }), NOW)).toBeUndefined()
    },
  )
})
