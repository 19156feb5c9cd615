import type { FlagSet } from './flags.ts'
import type { User } from './users.ts'

/** The answers of a contender, in its own shape, and how to read them. */
export type Evaluator<Half, Rules, All> = {
  readonly name: string
  /** Answers the boolean flag for the user of that index. */
  readonly half: (key: string, user: number) => Half
  /** Answers the flag of five rules. */
  readonly rules: (key: string, user: number) => Rules
  /** Answers all flags. */
  readonly all: (user: number) => All
  readonly readHalf: (answer: Awaited<Half>) => unknown
  readonly readRules: (answer: Awaited<Rules>) => unknown
  /** How many flags have a real answer. */
  readonly countAll: (answer: Awaited<All>) => number
}

/** One that takes part in the comparison; which shape its answers have is its own business. */
export type Contender = {
  readonly name: string
  /** What is timed. */
  readonly half: (key: string, user: number) => unknown
  readonly rules: (key: string, user: number) => unknown
  readonly all: (user: number) => unknown
  /** What is checked before anything is timed: the same calls, read. */
  readonly booleanOf: (key: string, user: number) => Promise<unknown>
  readonly variantOf: (key: string, user: number) => Promise<unknown>
  readonly answered: (user: number) => Promise<number>
}

/** Sets a contender up with flags and the contexts of users. */
export type CreateContender = (flags: FlagSet, users: readonly User[]) => Contender | Promise<Contender>

/** Makes a contender of an evaluator, forgetting the shape of its answers. */
export function toContender<Half, Rules, All>(evaluator: Evaluator<Half, Rules, All>): Contender {
  const { name, half, rules, all, readHalf, readRules, countAll } = evaluator
  return {
    name,
    half,
    rules,
    all,
    booleanOf: async (key, user) => readHalf(await half(key, user)),
    variantOf: async (key, user) => readRules(await rules(key, user)),
    answered: async (user) => countAll(await all(user)),
  }
}

/** Makes every user's context in a contender's own form; asking for one that does not exist is a mistake. */
export function createContexts<T>(users: readonly User[], make: (user: User) => T): (user: number) => T {
  const contexts: T[] = users.map(make)
  return (user) => {
    const context = contexts[user]
    if (context === undefined) throw new Error(`there is no user ${user}`)
    return context
  }
}
