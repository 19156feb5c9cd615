// The demo's two rollouts: one that goes well to its end, one that is taken back when it gets worse.
import { GUARDRAILS } from '../demo-catalog.ts'
import type { Call } from './management.ts'

const ENVIRONMENT = 'production'

/** A rollout, as far as the demo looks at it. */
export type Rollout = {
  readonly id: string
  readonly flag: string
  readonly state: string
  readonly stage: number
  readonly stages: readonly { readonly name: string }[]
}

/** How a rollout is. */
export type Health = {
  readonly next: { readonly words: string }
  readonly guards: readonly {
    readonly guardrail: string
    readonly verdict: string
    readonly words: string
  }[]
}

const ENDS = ['done', 'rolled_back', 'cancelled']

/** Whether nothing more happens to a rollout. */
export function hasEnded({ state }: Rollout): boolean {
  return ENDS.includes(state)
}

async function findGoing(call: Call, flag: string): Promise<Rollout | undefined> {
  const path = `/rollouts?environment=${ENVIRONMENT}&flag=${flag}`
  const { rollouts } = await call<{ rollouts: readonly Rollout[] }>('GET', path)
  return rollouts.find((rollout) => rollout.state === 'running' || rollout.state === 'watching')
}

const STEPS = [10, 25, 50]

/**
 * Starts a rollout whose stages hold only for so long, unless one of the flag is going on.
 * @param hold a span of time: `20s`
 */
export async function startRollout(call: Call, flag: string, hold: string): Promise<string> {
  const going = await findGoing(call, flag)
  if (going) return going.id
  const steps = STEPS.map((percentage) => ({ name: `${percentage} %`, percentage, hold }))
  const stages = [...steps, { name: 'all', percentage: 100, hold: '0s' }]
  const plan = {
    ...{ flag, environment: ENVIRONMENT, variant: 'on', stages, guardrails: GUARDRAILS },
    watch: [],
  }
  const { id } = await call<Rollout>('POST', '/rollouts', { plan, comment: 'demo' })
  await call('POST', `/rollouts/${id}/start`, { force: true, comment: 'demo' })
  return id
}

/** A rollout and how it is. */
export async function look(call: Call, id: string): Promise<{ rollout: Rollout; health: Health }> {
  const [rollout, health] = await Promise.all([
    call<Rollout>('GET', `/rollouts/${id}`),
    call<Health>('GET', `/rollouts/${id}/health`),
  ])
  return { rollout, health }
}

/** The incident that a rollout's end has opened, as a document; undefined when there is none. */
export async function findIncident(call: Call, rollout: string): Promise<string | undefined> {
  const { incidents } = await call<{ incidents: readonly { id: string }[] }>(
    'GET',
    `/incidents?rollout=${rollout}`,
  )
  const [incident] = incidents
  return incident && call<string>('GET', `/incidents/${incident.id}?format=markdown`)
}
