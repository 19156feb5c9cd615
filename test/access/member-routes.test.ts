import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Grant } from '../../src/access/actor.ts'
import { clearAuthentication } from '../../src/access/authenticate.ts'
import { listAudit } from '../../src/ledger/audit.ts'
import { call, refusalOf, serveIdentities } from '../support/access.ts'
import { field, from, moveClock, silenceLogs, stopClock, uniqueName } from '../support/worker.ts'

silenceLogs()
const { join, jwtOf, calls } = serveIdentities()

beforeEach(() => {
  stopClock()
  clearAuthentication()
})

const DRAFT = { name: 'Ada', role: 'developer', environments: null }
const pathOf = (id: string) => `/members/${encodeURIComponent(id)}`
const newEmail = () => `${uniqueName('ada')}@example.com`
const lastEntry = async () => (await listAudit(env.DB, {}, 1, undefined))[0]

const put = (id: string, revision: number, draft: object = {}, as = 'test-admin') =>
  call('PUT', pathOf(id), { as, json: { ...DRAFT, ...draft }, headers: from(revision) })
const remove = (id: string, revision: number, as = 'test-admin') =>
  call('DELETE', pathOf(id), { as, headers: from(revision) })

describe('a member', () => {
  it('is let in, changed and shut out, each written down', async () => {
    const id = newEmail()
    const added = { id, ...DRAFT, revision: 1, createdAt: Date.now(), updatedAt: Date.now() }
    const first = await put(id, 0, { comment: 'joins' })
    expect([first.status, first.body, first.headers.get('etag')]).toEqual([200, added, '"1"'])
    expect(await lastEntry()).toMatchObject({
      actor: 'admin',
      via: 'admin',
      action: 'member.save',
      targetKind: 'member',
      targetKey: id,
      environments: {},
      comment: 'joins',
      details: { before: null, after: DRAFT },
    })
    const read = await call('GET', pathOf(id))
    expect([read.status, read.body, read.headers.get('etag')]).toEqual([200, added, '"1"'])

    moveClock(1_000)
    const rights = { name: 'Ada L.', role: 'releaser', environments: ['production'] }
    const changed = { ...added, ...rights, revision: 2, updatedAt: Date.now() }
    const second = await put(id, 1, rights)
    expect([second.status, second.body, second.headers.get('etag')]).toEqual([200, changed, '"2"'])
    expect((await call('GET', pathOf(id))).body).toEqual(changed)
    expect((await lastEntry())?.details).toEqual({ before: DRAFT, after: rights })

    const gone = await call('DELETE', `${pathOf(id)}?comment=leaves`, { headers: from(2) })
    expect([gone.status, gone.body]).toEqual([200, changed])
    expect(await lastEntry()).toMatchObject({
      action: 'member.remove',
      targetKey: id,
      comment: 'leaves',
      details: { before: rights },
    })
    expect(refusalOf(await call('GET', pathOf(id)))).toEqual([404, 'not_found'])
    expect(refusalOf(await remove(id, 2))).toEqual([404, 'not_found'])
  })

  it('is known by an e-mail in small letters', async () => {
    const id = newEmail()
    expect(field((await put(id.toUpperCase(), 0)).body, 'id')).toBe(id)
    expect((await call('GET', pathOf(id.toUpperCase()))).status).toBe(200)
    expect(refusalOf(await put(id, 0))).toEqual([412, 'stale'])
    expect((await remove(id.toUpperCase(), 1)).status).toBe(200)
  })

  it.each(['groups:a/b', 'groups:50%', 'groups:ü & co?', 'custom.groups:Release Owners', 'sub:auth0|x'])(
    'is known by a claim: %s',
    async (id) => {
      expect(field((await put(id, 0)).body, 'id')).toBe(id)
      expect(field((await call('GET', pathOf(id))).body, 'id')).toBe(id)
      expect((await remove(id, 1)).status).toBe(200)
    },
  )

  it.each(['ada', '@', 'ada@', 'a da@example.com', 'groups:', ':a', `groups:${'x'.repeat(256)}`])(
    'is known by nothing else: %s',
    async (id) => {
      for (const answer of [put(id, 0), remove(id, 1), call('GET', pathOf(id))]) {
        expect(refusalOf(await answer)).toEqual([400, 'malformed'])
      }
    },
  )

  it.each<[string, object]>([
    ['a made-up role', { role: 'owner' }],
    ['no role', { role: undefined }],
    ['what is no environment', { environments: ['Production'] }],
    ['no word of where', { environments: undefined }],
    ['what is not known', { revision: 7 }],
    ['a name without end', { name: 'x'.repeat(201) }],
  ])('is not saved with %s', async (_, draft) => {
    const id = newEmail()
    expect(refusalOf(await put(id, 0, draft))).toEqual([400, 'malformed'])
    expect((await call('GET', pathOf(id))).status).toBe(404)
  })

  it('is neither changed nor removed from what it no longer is', async () => {
    const id = newEmail()
    expect(refusalOf(await put(id, 1))).toEqual([412, 'stale'])
    await put(id, 0)
    await put(id, 1, { role: 'viewer' })
    for (const revision of [0, 1, 3]) {
      expect(refusalOf(await put(id, revision, { role: 'admin' }))).toEqual([412, 'stale'])
      expect(refusalOf(await remove(id, revision))).toEqual([412, 'stale'])
    }
    expect((await call('GET', pathOf(id))).body).toMatchObject({ role: 'viewer', revision: 2 })
  })

  it('is changed once by many at once', async () => {
    const id = newEmail()
    await put(id, 0)
    const roles = ['viewer', 'developer', 'releaser', 'admin']
    const answers = await Promise.all(roles.map((role) => put(id, 1, { role })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412])
    expect(field((await call('GET', pathOf(id))).body, 'revision')).toBe(2)
  })

  it('is neither changed nor removed without a word of what it was', async () => {
    const id = newEmail()
    await put(id, 0)
    expect(refusalOf(await call('PUT', pathOf(id), { json: DRAFT }))).toEqual([428, 'revision_required'])
    expect(refusalOf(await call('DELETE', pathOf(id)))).toEqual([428, 'revision_required'])
  })

  it('is saved once when the request is repeated', async () => {
    const id = newEmail()
    const asking = { json: DRAFT, headers: { ...from(0), 'idempotency-key': crypto.randomUUID() } }
    const first = await call('PUT', pathOf(id), asking)
    const again = await call('PUT', pathOf(id), asking)
    expect([again.status, again.body]).toEqual([200, first.body])
    expect(again.headers.get('idempotency-replayed')).toBe('true')
  })
})

describe('who may see and change members', () => {
  it.each<
    [Grant['role'], Grant['environments'], readonly [number, string] | null, readonly [number, string] | null]
  >([
    ['admin', null, null, null],
    ['admin', ['staging'], null, [403, 'wrong_environment']],
    ['releaser', null, [403, 'forbidden'], [403, 'forbidden']],
    ['viewer', null, [403, 'forbidden'], [403, 'forbidden']],
  ])('for a %s in %j: seeing %j, changing %j', async (role, environments, seeing, changing) => {
    const { jwt } = await join(role, environments)
    const [id, other] = [newEmail(), newEmail()]
    await put(id, 0)
    const refusals = async (...answers: ReturnType<typeof call>[]) =>
      (await Promise.all(answers)).map((answer) => (answer.status === 200 ? null : refusalOf(answer)))
    expect(
      await refusals(call('GET', '/members', { as: jwt }), call('GET', pathOf(id), { as: jwt })),
    ).toEqual([seeing, seeing])
    expect(await refusals(put(other, 0, {}, jwt), remove(id, 1, jwt))).toEqual([changing, changing])
    expect((await call('GET', pathOf(id))).status).toBe(changing ? 200 : 404)
  })
})

describe('the list of members', () => {
  it('comes by id, a part at a time', async () => {
    await env.DB.exec('DELETE FROM members')
    const ids = ['a@x', 'b@x', 'groups:a']
    for (const id of ids.toReversed()) await put(id, 0)
    const first = (await call('GET', '/members?limit=2')).body
    const next = (await call('GET', `/members?limit=2&cursor=${field(first, 'nextCursor')}`)).body
    const row = { ...DRAFT, revision: 1, createdAt: Date.now(), updatedAt: Date.now() }
    expect(field(first, 'members')).toEqual([
      { id: 'a@x', ...row },
      { id: 'b@x', ...row },
    ])
    expect(next).toEqual({ members: [{ id: 'groups:a', ...row }], nextCursor: null })
  })
})

describe('a change of rights holds at once', () => {
  it('for a member who is changed and removed', async () => {
    const { email, jwt } = await join('viewer')
    const me = async () => call('GET', '/me', { as: jwt })
    expect(field((await me()).body, 'role')).toBe('viewer')
    await put(email, 1, { role: 'releaser' })
    expect(field((await me()).body, 'role')).toBe('releaser')
    await remove(email, 2)
    expect(refusalOf(await me())).toEqual([403, 'no_member'])
  })

  it('for the tokens of a member who is changed and removed', async () => {
    const { email, jwt } = await join('releaser')
    const json = { name: 'ci', role: 'releaser', environments: null }
    const text = String(field((await call('POST', '/tokens', { as: jwt, json })).body, 'token'))
    const me = async () => call('GET', '/me', { as: text })
    expect(field((await me()).body, 'role')).toBe('releaser')
    await put(email, 1, { role: 'viewer' })
    expect(field((await me()).body, 'role')).toBe('viewer')
    await remove(email, 2)
    expect(refusalOf(await me())).toEqual([401, 'unauthorized'])
    await put(email, 0)
    expect(refusalOf(await me())).toEqual([401, 'unauthorized'])
  })

  it('for an administrator who demotes themselves', async () => {
    const { email, jwt } = await join('admin')
    expect((await put(email, 1, { role: 'viewer' }, jwt)).status).toBe(200)
    expect(refusalOf(await put(email, 2, { role: 'admin' }, jwt))).toEqual([403, 'forbidden'])
  })

  it('for whoever is let in by a claim', async () => {
    const group = `groups:${uniqueName('team')}`
    const as = await jwtOf(newEmail(), { groups: [group.slice('groups:'.length)] })
    expect(refusalOf(await call('GET', '/me', { as }))).toEqual([403, 'no_member'])
    await put(group, 0, { role: 'releaser' })
    expect(field((await call('GET', '/me', { as })).body, 'role')).toBe('releaser')
  })

  it('without asking the identity provider for its keys again', async () => {
    const { jwt } = await join('admin')
    expect((await put(newEmail(), 0, {}, jwt)).status).toBe(200)
    expect((await call('GET', '/me', { as: jwt })).status).toBe(200)
    expect(calls()).toBe(1)
  })
})
