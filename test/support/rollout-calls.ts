// Rollouts as people call for them through the API.
import { apiAs } from './actors.ts'
import { type Answer, api, configure, createFlag, field, from, uniqueName } from './worker.ts'

/** Half of everyone for an hour, then all; no guardrails, no watch. */
export const STAGES = [
  { name: 'half', percentage: 50, hold: '1h' },
  { name: 'all', percentage: 100, hold: '0s' },
]

/** Makes a flag that is on and serves `off` in an environment; its key. */
export async function createLiveFlag(environment: string, draft: object = {}): Promise<string> {
  const flag = uniqueName('flag')
  await createFlag(flag)
  await configure(environment, flag, { fallthrough: { variant: 'off' }, ...draft })
  return flag
}

/** Asks for a draft of a rollout of `on`. */
export function postPlan(environment: string, flag: string, plan: object = {}): Promise<Answer> {
  const whole = { flag, environment, variant: 'on', stages: STAGES, watch: [], ...plan }
  return api('POST', '/rollouts', { plan: whole, comment: 'planned' })
}

/** Makes a draft of a rollout of `on`; its id. */
export async function planRollout(environment: string, flag: string, plan: object = {}): Promise<string> {
  const { status, body } = await postPlan(environment, flag, plan)
  if (status !== 201) throw new Error(`refused with ${status}: ${JSON.stringify(body)}`)
  return String(field(body, 'id'))
}

/** Does something to a rollout, as the administrator or as somebody else. */
export function deed(id: string, name: string, json: object = {}, as?: string): Promise<Answer> {
  const path = `/rollouts/${id}/${name}`
  return as === undefined ? api('POST', path, json) : apiAs(as, 'POST', path, json)
}

/** Does something to a rollout that must succeed. */
export async function mustDo(id: string, name: string, json: object = {}, as?: string): Promise<void> {
  const { status, body } = await deed(id, name, json, as)
  if (status >= 300) throw new Error(`${name} was refused with ${status}: ${JSON.stringify(body)}`)
}

/** Makes a rollout of `on` and starts it; its id. */
export async function startRollout(environment: string, flag: string, plan: object = {}): Promise<string> {
  const id = await planRollout(environment, flag, plan)
  await mustDo(id, 'start')
  return id
}

export async function getRollout(id: string): Promise<unknown> {
  return (await api('GET', `/rollouts/${id}`)).body
}

/** The state of a rollout. */
export async function stateOf(id: string): Promise<unknown> {
  return field(await getRollout(id), 'state')
}

/** What a rollout was through, oldest first: deed and reason. */
export async function timelineOf(
  id: string,
): Promise<(readonly [deed: unknown, reason: unknown, actor: unknown])[]> {
  const { body } = await api('GET', `/rollouts/${id}/timeline`)
  const decisions = field(body, 'decisions')
  if (!Array.isArray(decisions)) throw new Error(`no timeline: ${JSON.stringify(body)}`)
  return decisions
    .map(
      (row: unknown) =>
        [field(row, 'deed'), field(field(row, 'reason'), 'code'), field(row, 'actor')] as const,
    )
    .reverse()
}

/** Changes a draft's plan from a revision. */
export function patchPlan(id: string, plan: object, revision = 1): Promise<Answer> {
  return api('PATCH', `/rollouts/${id}`, { plan }, from(revision))
}
