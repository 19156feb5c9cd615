import { FlagdCore } from '@openfeature/flagd-core'
import { type CreateContender, createContexts, toContender } from '../support/contender.ts'
import { toFlagdConfiguration } from '../support/flagd-configuration.ts'

/** flagd's evaluator, interpreting its rules: a Worker forbids the code generation that it prefers elsewhere. */
export const createFlagd: CreateContender = (flags, users) => {
  const core = new FlagdCore(undefined, undefined, { disableDynamicCodeGeneration: true })
  core.setConfigurations(toFlagdConfiguration(flags, {}))
  const contextOf = createContexts(users, ({ id, customer, seats, appVersion, email, country }) => ({
    targetingKey: id,
    customer,
    seats,
    appVersion,
    email,
    country,
  }))
  return toContender({
    name: 'flagd-core',
    half: (key, user) => core.resolveBooleanEvaluation(key, false, contextOf(user)),
    rules: (key, user) => core.resolveStringEvaluation(key, '', contextOf(user)),
    all: (user) => core.resolveAll(contextOf(user)),
    readHalf: ({ reason, value }) => (reason === 'TARGETING_MATCH' ? value : undefined),
    readRules: ({ reason, value }) => (reason === 'TARGETING_MATCH' ? value : undefined),
    countAll: (answers) => answers.filter(({ value }) => value !== undefined).length,
  })
}
