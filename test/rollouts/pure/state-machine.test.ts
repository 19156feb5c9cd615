import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Result } from '../../../src/engine/result.ts'
import { decide } from '../../../src/rollouts/decide.ts'
import type { Decision } from '../../../src/rollouts/decision.ts'
import * as deeds from '../../../src/rollouts/deeds.ts'
import { audiencesOf } from '../../../src/rollouts/grants.ts'
import type { Plan, RollbackMode, Stage } from '../../../src/rollouts/plan.ts'
import {
  HOUR_MS,
  MINUTE_MS,
  makeGuardReading,
  makeGuardrail,
  makePlan,
  makeReading,
  makeSignal,
  makeStage,
} from '../../support/rollouts.ts'
import { AUDIENCES, World } from './world.ts'

const BY_CLOCK = ['advance', 'confirm', 'complete', 'finish', 'freeze', 'hold', 'look', 'pause', 'rollback']
const BY_HAND = [
  'start, by hand',
  'pause, by hand',
  'resume, by hand',
  'approve, by hand',
  'advance, by hand',
  'set, by hand',
  'roll back immediate, by hand',
  'roll back gradual, by hand',
  'roll back partial, by hand',
  'complete, by hand',
  'cancel, by hand',
]

/** How often each of them was done, over all runs. */
const seen = new Map<string, number>()

function note(name: string): void {
  seen.set(name, (seen.get(name) ?? 0) + 1)
}

type Command = fc.Command<object, World>

function command(name: string, run: (world: World) => void): Command {
  return { check: () => true, run: (_, world) => run(world), toString: () => name }
}

function byHand(name: string, run: (world: World) => Result<Decision, deeds.DeedError>): Command {
  return command(name, (world) => {
    const observations = world.observe()
    const result = run(world)
    if (!result.ok) return
    note(`${name}, by hand`)
    world.store(result.value, { by: 'hand', observations, at: world.now })
  })
}

type Trouble = {
  /** Whether what is decided is lost: the process died before it was written. */
  readonly isLost: boolean
  /** Whether it is decided from what was observed some time ago. */
  readonly isLate: boolean
  /** By how much the clock goes backwards. */
  readonly backMs: number
}

function tick({ isLost, isLate, backMs }: Trouble): Command {
  return command(`tick(${isLost ? 'lost ' : ''}${isLate ? 'late ' : ''}${backMs})`, (world) => {
    const observations = isLate && world.kept ? world.kept : world.observe()
    const at = world.now - backMs
    const decision = decide(world.plan, world.progress, observations, at)
    expect(decide(world.plan, world.progress, observations, at)).toEqual(decision)
    if (isLost) return
    note(decision.deed)
    world.store(decision, { by: 'clock', observations, at })
  })
}

const MODES: readonly RollbackMode[] = ['immediate', 'gradual', 'partial']

const manual: fc.Arbitrary<Command> = fc.oneof(
  fc
    .boolean()
    .map((needsApproval) =>
      byHand('start', (world) =>
        deeds.start(world.plan, world.progress, { observations: world.observe(), needsApproval }, world.now),
      ),
    ),
  fc.constant(byHand('pause', ({ plan, progress, now }) => deeds.pause(plan, progress, now))),
  fc.constant(
    byHand('resume', (world) => deeds.resume(world.plan, world.progress, world.observe(), world.now)),
  ),
  fc.constant(
    byHand('approve', (world) =>
      deeds.approve(world.plan, world.progress, { stage: null, observations: world.observe() }, world.now),
    ),
  ),
  fc.constant(
    byHand('advance', (world) => deeds.advance(world.plan, world.progress, world.observe(), world.now)),
  ),
  fc
    .integer({ min: 0, max: 100 })
    .map((percentage) =>
      byHand('set', ({ plan, progress, now }) => deeds.setPercentage(plan, progress, percentage, now)),
    ),
)

/** People's deeds that end a rollout, or a part of it. */
const ending: fc.Arbitrary<Command> = fc.oneof(
  fc
    .tuple(fc.constantFrom(...MODES), fc.nat(3))
    .map(([mode, place]) =>
      byHand(`roll back ${mode}`, ({ plan, progress, now }) =>
        deeds.rollBack(plan, progress, { mode, audiences: [place] }, now),
      ),
    ),
  fc.constant(
    byHand('complete', (world) => deeds.complete(world.plan, world.progress, world.observe(), world.now)),
  ),
  fc.constant(byHand('cancel', ({ plan, progress, now }) => deeds.cancel(plan, progress, now))),
)

/** A guardrail goes off, once there is something that it can go off for. */
const breaking: fc.Arbitrary<Command> = fc.tuple(fc.nat(2), fc.nat(3)).map(([index, place]) =>
  command(`break(${index}, ${place})`, ({ plan, progress, broken }) => {
    const guardrail = plan.guardrails[index % Math.max(1, plan.guardrails.length)]
    if (!guardrail || progress.stage < 0) return
    const audience = guardrail.mode === 'partial' ? place % audiencesOf(plan).length : null
    const reading = makeGuardReading({ guardrail: guardrail.id, audience, verdict: 'broken' })
    broken.set(`${guardrail.id} ${audience}`, reading)
  }),
)

const weather: fc.Arbitrary<Command> = fc.oneof(
  fc
    .tuple(fc.constantFrom('gate', 'gate', 'scan'), fc.constantFrom(true, true, true, false))
    .map(([kind, passed]) =>
      command(`signal(${kind}, ${passed})`, (world) => {
        world.signals = [makeSignal({ kind, passed, at: world.now }), ...world.signals]
      }),
    ),
  fc
    .tuple(
      fc.constantFrom(false, false, false, true),
      fc.constantFrom('alive', 'alive', 'alive', 'all_silent'),
      fc.nat(40),
    )
    .map(([mismatch, verdict, units]) =>
      command(`counts(${mismatch}, ${verdict}, ${units})`, (world) => {
        const { sampleRatio, life } = makeReading(0)
        world.reading = {
          sampleRatio: { ...sampleRatio, mismatch },
          life: { ...life, verdict },
          units: { treatment: units, control: 50 },
        }
      }),
    ),
  fc.constantFrom(false, false, true).map((isUnread) =>
    command(`unread(${isUnread})`, (world) => {
      world.unreadSince = isUnread ? world.now : null
    }),
  ),
  fc.nat(1_000).map((value) =>
    command(`quantile(${value})`, (world) => {
      world.quantiles = Object.fromEntries(world.plan.guardrails.map(({ id }) => [id, value]))
    }),
  ),
  fc.constant(
    command('keep', (world) => {
      world.kept = world.observe()
    }),
  ),
)

const time: fc.Arbitrary<Command> = fc
  .constantFrom(10_000, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS, 30 * HOUR_MS)
  .map((ms) =>
    command(`wait(${ms / MINUTE_MS} min)`, (world) => {
      world.now += ms
    }),
  )

const trouble: fc.Arbitrary<Trouble> = fc.record({
  isLost: fc.boolean(),
  isLate: fc.boolean(),
  backMs: fc.constantFrom(0, 0, 0, 20_000, 3 * HOUR_MS),
})

const NO_TROUBLE: Trouble = { isLost: false, isLate: false, backMs: 0 }

/** What happens when nothing goes wrong: time passes, the hub publishes, the clock ticks. */
const steady: fc.Arbitrary<Command> = fc
  .constantFrom(MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 26 * HOUR_MS)
  .map((ms) =>
    command(`pass(${ms / MINUTE_MS} min)`, (world) => {
      world.now += ms
      world.publish()
      tick(NO_TROUBLE).run({}, world)
    }),
  )

const publish = fc.constant(command('publish', (world) => world.publish()))

const commands = fc.commands(
  [
    fc.oneof(
      { weight: 20, arbitrary: steady },
      { weight: 3, arbitrary: time },
      { weight: 2, arbitrary: publish },
      { weight: 4, arbitrary: trouble.map(tick) },
      { weight: 2, arbitrary: weather },
      { weight: 2, arbitrary: breaking },
      { weight: 3, arbitrary: manual },
      { weight: 1, arbitrary: ending },
    ),
  ],
  { maxCommands: 100, size: 'max' },
)

const stage: fc.Arbitrary<Stage> = fc
  .record({
    audience: fc.constantFrom(...AUDIENCES, null),
    holdMs: fc.constantFrom(0, 10 * MINUTE_MS, 10 * MINUTE_MS, HOUR_MS),
    minUnits: fc.constantFrom(0, 0, 10),
    approval: fc.constantFrom(false, false, false, false, false, false, true),
    gates: fc.constantFrom(
      [],
      [],
      [],
      [],
      [{ name: 'gate', maxAgeMs: null }],
      [{ name: 'gate', maxAgeMs: HOUR_MS }],
    ),
  })
  .map(makeStage)

/** Percentages that rise within each audience. */
function withPercentages(stages: readonly Stage[], percentages: readonly number[]): readonly Stage[] {
  const rising = [...percentages].sort((a, b) => a - b)
  return stages.map((one, index) => ({ ...one, percentage: rising[index] ?? 100 }))
}

const guardrail = fc.record({
  action: fc.constantFrom('rollback', 'rollback', 'rollback', 'pause', 'notify', 'would-roll-back'),
  mode: fc.constantFrom(...MODES),
  test: fc.constantFrom(
    { kind: 'regression', tolerance: 0.1, quantile: 0.95 } as const,
    { kind: 'threshold', side: 'above', limit: 0.1, quantile: null, literal: null } as const,
  ),
})

const plans: fc.Arbitrary<Plan> = fc
  .record({
    stages: fc.array(stage, { minLength: 1, maxLength: 6, size: 'max' }),
    percentages: fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 6, maxLength: 6 }),
    guards: fc.array(guardrail, { maxLength: 3, size: 'max' }),
    whenTooFew: fc.constantFrom('hold', 'extend', 'advance', 'rollback'),
    steps: fc.constantFrom([50, 25, 0], [0], [80, 10, 0]),
    signals: fc.constantFrom(
      [],
      [{ kind: 'scan', action: 'hold', mode: 'immediate' } as const],
      [{ kind: 'scan', action: 'rollback', mode: 'gradual' } as const],
    ),
    watch: fc.constantFrom([], [{ forMs: 4 * HOUR_MS, everyMs: HOUR_MS }]),
  })
  .map(({ stages, percentages, guards, whenTooFew, steps, signals, watch }) =>
    makePlan({
      stages: withPercentages(stages, percentages),
      guardrails: guards.map((one, index) => makeGuardrail({ id: `guard-${index}`, ...one })),
      whenTooFew,
      rollback: { steps, holdMs: 10 * MINUTE_MS },
      signals,
      watch,
    }),
  )

const states = fc.constantFrom('scheduled' as const, 'scheduled' as const, 'draft' as const)

it('keeps what it promises, whatever order ticks, people, crashes and late news come in', () => {
  fc.assert(
    fc.property(plans, states, commands, (plan, state, sequence) => {
      fc.modelRun(() => ({ model: {}, real: new World(plan, state) }), sequence)
    }),
    { numRuns: 1_200 },
  )
  // What never happens proves nothing.
  for (const deed of [...BY_CLOCK, ...BY_HAND]) expect(seen.get(deed), deed).toBeGreaterThan(0)
})
