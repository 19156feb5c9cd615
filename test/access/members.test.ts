import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Grant } from '../../src/access/actor.ts'
import type { Identity } from '../../src/access/identity.ts'
import {
  grantOf,
  listMembers,
  loadGrantsFor,
  loadMember,
  type Member,
  type MemberDraft,
  memberRemoval,
  memberSave,
} from '../../src/access/members.ts'
import { commit } from '../support/batch.ts'
import { uniqueName } from '../support/worker.ts'

const NOW = 1_772_366_400_000

function makeIdentity(overrides: Partial<Identity> = {}): Identity {
  return { id: 'ada@example.com', name: 'Ada', claims: ['groups:a', 'groups:b'], ...overrides }
}

function makeDraft(overrides: Partial<MemberDraft> = {}): MemberDraft {
  return { id: 'ada@example.com', name: 'Ada', role: 'developer', environments: null, ...overrides }
}

function row(id: string, role: Grant['role'], environments: Grant['environments'] = null): Member {
  return { ...makeDraft({ id, role, environments }), revision: 1, createdAt: NOW, updatedAt: NOW }
}

describe('what an identity may do', () => {
  it.each<[string, readonly Member[], Grant | undefined]>([
    ['nothing without a row', [], undefined],
    ['nothing by rows of others', [row('bob@example.com', 'admin'), row('groups:c', 'admin')], undefined],
    [
      'nothing by a row that only begins alike',
      [row('groups:', 'admin'), row('groups:A', 'admin')],
      undefined,
    ],
    [
      'what its own row says',
      [row('ada@example.com', 'releaser', ['staging'])],
      { role: 'releaser', environments: ['staging'] },
    ],
    ['what a claim gives', [row('groups:a', 'viewer')], { role: 'viewer', environments: null }],
    [
      'what its own row says alone, although a claim gives more',
      [row('groups:a', 'admin'), row('ada@example.com', 'viewer', ['staging'])],
      { role: 'viewer', environments: ['staging'] },
    ],
    [
      'nowhere anything when its own row says so',
      [row('ada@example.com', 'viewer', []), row('groups:a', 'admin')],
      { role: 'viewer', environments: [] },
    ],
    [
      'the highest role of its claims',
      [row('groups:a', 'viewer'), row('groups:b', 'releaser')],
      { role: 'releaser', environments: null },
    ],
    [
      'one role in the environments of both claims that give it',
      [
        row('groups:a', 'developer', ['staging', 'test']),
        row('groups:b', 'developer', ['production', 'test']),
      ],
      { role: 'developer', environments: ['production', 'staging', 'test'] },
    ],
    [
      'one role everywhere when one claim gives it everywhere',
      [row('groups:a', 'developer', ['staging']), row('groups:b', 'developer')],
      { role: 'developer', environments: null },
    ],
    [
      'no higher role where a claim gives only a lower one',
      [row('groups:a', 'admin', ['staging']), row('groups:b', 'viewer')],
      { role: 'admin', environments: ['staging'] },
    ],
  ])('is %s', (_, rows, expected) => {
    expect(grantOf(makeIdentity(), rows)).toEqual(expected)
  })

  it.each([
    ['service:ci', ['common_name:ci']],
    ['sub:u1', ['sub:u1']],
  ])('is what the own row of %s says', (id, claims) => {
    const rows = [row(id, 'viewer'), row('common_name:ci', 'admin')]
    expect(grantOf(makeIdentity({ id, claims }), rows)).toEqual({ role: 'viewer', environments: null })
  })
})

describe('the members of an identity', () => {
  it('are its own and those of its claims, whatever stands in them', async () => {
    const id = `${uniqueName('ada')}@example.com`
    const claims = [`groups:${uniqueName('quote')}"'],["`, `groups:${uniqueName('ü')}`, 'groups:nobody']
    const ids = [id, ...claims.slice(0, 2), `groups:${uniqueName('other')}`]
    for (const each of ids) expect(await commit(memberSave(makeDraft({ id: each }), 0, NOW))).toBe(true)
    const found = await loadGrantsFor(env.DB, makeIdentity({ id, claims }))
    expect(found.map((member) => member.id).sort()).toEqual(ids.slice(0, 3).sort())
  })

  it('are found by as many claims as an identity may have', async () => {
    const id = `groups:${uniqueName('last')}`
    await commit(memberSave(makeDraft({ id, role: 'viewer' }), 0, NOW))
    const claims = [...Array.from({ length: 499 }, (_, i) => `groups:${'g'.repeat(240)}${i}`), id]
    const identity = makeIdentity({ id: 'nobody@example.com', claims })
    expect(grantOf(identity, await loadGrantsFor(env.DB, identity))).toEqual({
      role: 'viewer',
      environments: null,
    })
  })
})

describe('a member', () => {
  it('is added, changed from what it is, and removed', async () => {
    const id = `${uniqueName('ada')}@example.com`
    const draft = makeDraft({ id, environments: ['staging'] })
    expect(await commit(memberSave(draft, 0, NOW))).toBe(true)
    const added = { ...draft, revision: 1, createdAt: NOW, updatedAt: NOW }
    expect(await loadMember(env.DB, id)).toEqual(added)

    const changed = makeDraft({ id, name: 'Ada L.', role: 'admin', environments: null })
    expect(await commit(memberSave(changed, 1, NOW + 1))).toBe(true)
    const stored = { ...changed, revision: 2, createdAt: NOW, updatedAt: NOW + 1 }
    expect(await loadMember(env.DB, id)).toEqual(stored)

    for (const stale of [0, 1, 3]) {
      expect(await commit(memberSave(draft, stale, NOW + 2))).toBe(false)
      expect(await commit(memberRemoval(id, stale, NOW + 2))).toBe(false)
    }
    expect(await loadMember(env.DB, id)).toEqual(stored)

    expect(await commit(memberRemoval(id, 2, NOW + 3))).toBe(true)
    expect(await loadMember(env.DB, id)).toBeUndefined()
    expect(await commit(memberSave(draft, 2, NOW + 4))).toBe(false)
  })

  it('is listed by id, a part at a time', async () => {
    await env.DB.exec('DELETE FROM members')
    for (const id of ['c@x', 'groups:a', 'a@x', 'b@x']) await commit(memberSave(makeDraft({ id }), 0, NOW))
    const idsAfter = async (after: string) =>
      (await listMembers(env.DB, { after, limit: 2 })).map((member) => member.id)
    expect(await idsAfter('')).toEqual(['a@x', 'b@x'])
    expect(await idsAfter('b@x')).toEqual(['c@x', 'groups:a'])
    expect(await idsAfter('groups:a')).toEqual([])
  })
})
