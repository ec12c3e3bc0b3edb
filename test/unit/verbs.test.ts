import { describe, expect, test } from 'vitest'
import { DOMAIN_STATES } from '../../vmm/model/domain'
import { VERB_LABELS, VERB_TABLE, VERBS, verbVerdict } from '../../vmm/model/verbs'

const CASES = VERBS.flatMap((verb) => DOMAIN_STATES.map((state) => ({ verb, state })))

describe('the verb table', () => {
  test.each(CASES)('$verb while $state is allowed, or refused with one sentence that names both', ({ verb, state }) => {
    const { allowed, reason } = verbVerdict(verb, state)

    expect(reason === '').toBe(allowed)
    expect(
      allowed || (reason.startsWith(VERB_LABELS[verb]) && /while (it is|it has|its record is) .+\.$/.test(reason)),
    ).toBe(true)
    expect(reason).not.toContain('undefined')
  })

  test('every verb is possible in some state, and every state has a way out', () => {
    const dead = VERBS.filter((verb) => VERB_TABLE[verb].length === 0)
    const waysOut = ['start', 'resume', 'forceOff', 'shutdown', 'delete'] as const
    const traps = DOMAIN_STATES.filter((state) => waysOut.every((verb) => !verbVerdict(verb, state).allowed))

    expect(dead).toEqual([])
    expect(traps).toEqual([])
  })

  test('a damaged domain can be deleted and nothing else', () => {
    expect(VERBS.filter((verb) => verbVerdict(verb, 'damaged').allowed)).toEqual(['delete'])
  })

  test('whatever has or may have a machine can be forced off and not deleted', () => {
    const live = ['starting', 'running', 'paused', 'stopping', 'saving'] as const

    expect(live.filter((state) => !verbVerdict('forceOff', state).allowed)).toEqual([])
    expect(live.filter((state) => verbVerdict('delete', state).allowed)).toEqual([])
  })
})
