import { readFileSync } from 'node:fs'
import { toJsonSchema } from '@valibot/to-json-schema'
import { format, resolveConfig } from 'prettier'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import {
  EMPTY_POLICY,
  NetworkRuleSchema,
  OWN_RULES,
  SandboxPolicySchema,
  type SandboxPolicy,
} from '../../vmm/model/policy'
import { parsePolicyText, policyPlace, policyText, POLICY_TEXT_MOST } from '../../vmm/model/policy-text'
import { POLICY_TEMPLATES, withTemplate } from '../../vmm/model/policy-templates'
import { randomRules } from '../support/policy-random'
import { below, pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const FULL: SandboxPolicy = v.parse(SandboxPolicySchema, {
  network: {
    rules: [
      { name: 'quoted "name", \\ and 漢', action: 'log', direction: 'both', peers: ['domain:a "b" \\', 'any'] },
      {
        name: 'web',
        action: 'allow',
        protocol: 'tcp',
        ports: ['80', '443'],
        peers: ['public'],
        downBits: 2e6,
        burstBytes: 1,
      },
    ],
  },
  limits: { network: [{ nic: 0, upBits: 1e6, lossPercent: 0.5 }, { nic: 2 }] },
})

describe('a policy as text', () => {
  test.each([
    ['the empty one', EMPTY_POLICY],
    ['one of everything', FULL],
  ])('says %s again', (_which, policy) => {
    expect(parsePolicyText(policyText(policy))).toEqual(policy)
  })

  test('leaves out what is as usual', () => {
    expect(policyText(EMPTY_POLICY)).toBe('{\n  "version": 1,\n  "network": {\n    "rules": []\n  }\n}\n')
    expect(policyText(withTemplate(EMPTY_POLICY, 'web'))).toContain(
      [
        '      {',
        '        "name": "Web",',
        '        "action": "allow",',
        '        "protocol": "tcp",',
        '        "peers": ["public"],',
        '        "ports": ["80", "443"]',
        '      },',
      ].join('\n'),
    )
    expect(policyText(FULL)).toContain('{\n        "nic": 2\n      }')
  })

  test('says any policy again', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 500; round++) {
      const rules = randomRules(random, 6).filter((rule) => v.is(NetworkRuleSchema, rule))
      const policy = v.parse(SandboxPolicySchema, { network: { rules } })

      expect(parsePolicyText(policyText(policy))).toEqual(policy)
    }
  })

  test('says the rules of files and registry and the limits of devices again', () => {
    const policy = v.parse(SandboxPolicySchema, {
      files: {
        rules: [
          { name: 'Keys', action: 'hide', paths: ['*.key'] },
          { name: 'Tools', action: 'redirect', shares: ['docs'], paths: ['/bin'], ignoreCase: true, to: 'docs:/tools' },
          { name: 'Room', action: 'quota', paths: ['**'], bytes: 5000, files: 10 },
        ],
      },
      registry: {
        rules: [
          { name: 'Run', action: 'deny', keys: ['HKLM\\Software\\**'] },
          { name: 'Other', action: 'redirect', keys: ['HKCU\\A'], to: 'HKCU\\B' },
        ],
      },
      limits: {
        io: [
          { device: '', writeBytes: 4_000_000 },
          { device: 'share:docs', readOps: 5, burstMs: 1000 },
        ],
      },
    })
    expect(parsePolicyText(policyText(policy))).toEqual(policy)
  })
})

const RULE = '{"name": "r", "action": "allow", "peers": ["any"]}'

describe('a fault in the text', () => {
  test.each([
    ['', 1, 1],
    ['{\n  "network": {', 2, 15],
    ['{\n  "network": {},\n}', 3, 1],
    ['{\r\n  "network" {}\r\n}', 2, 13],
    ['// mine\n{}', 1, 1],
    ['{}\n{}', 2, 1],
    ["{'version': 1}", 1, 2],
    ['{"version": 01}', 1, 14],
    ['{"version": NaN}', 1, 13],
    ['{"network": {"rules": [{"name": "a\nb"}]}}', 1, 33],
    ['{"network": {"rules": [{"name": "\\x"}]}}', 1, 33],
    ['{\n  "version": 1,\n  "version": 1\n}', 3, 3],
    [`{"network": {"rules": [\n${RULE},\n${RULE.replace('"r",', '"q", "name": "s",')}]}}`, 3, 15],
    ['\ufeff{}', 1, 1],
    [' []', 1, 2],
    ['7', 1, 1],
    ['null', 1, 1],
  ])('of syntax is told with its place: %j', (text, line, column) => {
    expect(() => parsePolicyText(text)).toThrow(
      expect.objectContaining({
        kind: 'invalid',
        message: expect.stringContaining(`line ${line}, column ${column}`),
        context: { line, column },
      }),
    )
  })

  test.each([
    ['{"netwrok": {}}', 'netwrok', 1, 2],
    [`{"network": {"rules": [\n  ${RULE.replace('any', 'nobody')}\n]}}`, 'network.rules.0.peers.0', 2, 46],
    [`{"network": {"rules": [\n  ${RULE},\n  {"action": "deny",\n "peers": ["any"]}]}}`, 'network.rules.1.name', 3, 3],
    [
      `{"network": {"rules": [\n  ${RULE.replace('"any"]', '"any"],\n "ports": ["1"]')}\n]}}`,
      'network.rules.0.ports',
      3,
      2,
    ],
    ['{"files": {"constructor": 1}}', 'files.constructor', 1, 12],
    ['{"__proto__": {}}', '__proto__', 1, 2],
    ['{"a.b": 1}', 'a.b', 1, 1],
  ])('of meaning is told with its path and place: %j', (text, path, line, column) => {
    expect(() => parsePolicyText(text)).toThrow(
      expect.objectContaining({
        kind: 'invalid',
        message: expect.stringContaining(`(line ${line}, column ${column})`),
        context: { path, line, column },
      }),
    )
  })

  test('of a name that only services know is placed as well', () => {
    const text = `{"network": {"rules": [\n  ${RULE},\n  ${RULE.replace('"r"', '"q"').replace('any', 'domain:gone')}\n]}}`

    expect(policyPlace(text, 'network.rules.1.peers.0')).toEqual({ line: 3, column: 46 })
    expect(policyPlace(text, 'network.rules.1.ports.0')).toEqual({ line: 3, column: 3 })
  })

  test.each([
    ['deep lists', '['.repeat(100_000)],
    ['deep objects', '{"a":'.repeat(100_000)],
    ['a long text', `"${'x'.repeat(POLICY_TEXT_MOST)}"`],
    ['a long unfinished text', `{"a": "${'\\"'.repeat(1_000_000)}`],
    ['many fields', `{${Array.from({ length: 50_000 }, (_, index) => `"f${index}": 1`).join(',')}}`],
    ['many rules', `{"network": {"rules": [${Array.from({ length: 20_000 }, () => RULE).join(',')}]}}`],
  ])('%s are refused as anything else', (_what, text) => {
    expect(() => parsePolicyText(text)).toThrow(expect.objectContaining({ kind: 'invalid' }))
  })

  test('never is anything but a refusal, wherever the text is broken', () => {
    const { random } = seededRandom()
    const good = policyText(FULL)
    for (let round = 0; round < 3000; round++) {
      const at = below(random, good.length)
      const odd = pick(random, ['', '"', '{', '}', '[', ']', ',', ':', '\\', '\0', '0', '\ud800', '/*', '\n', 'null'])
      const text = good.slice(0, at) + odd + good.slice(at + below(random, 3))
      try {
        parsePolicyText(text)
      } catch (error) {
        if (!(error instanceof Error)) throw error
        expect({ text, error }).toMatchObject({ error: { name: 'VmmError', kind: 'invalid' } })
      }
    }
  })
})

describe('the documentation', () => {
  test('has the JSON schema of today (vitest --update writes it anew)', async () => {
    const options = await resolveConfig('docs/policy.schema.json')

    const text = await format(JSON.stringify(jsonSchema()), { ...options, parser: 'json' })

    await expect(text).toMatchFileSnapshot('../../docs/policy.schema.json')
  })

  test('shows policies that can be used', () => {
    const shown = [...readFileSync('docs/policy.md', 'utf8').matchAll(/```json\n([\s\S]*?)```/g)].map(
      ([, text]) => text ?? '',
    )

    expect(shown.length).toBeGreaterThan(4)
    for (const text of shown) parsePolicyText(text)
  })

  test('tells of every template and every rule of our own', () => {
    const text = readFileSync('docs/policy.md', 'utf8')

    for (const { name } of POLICY_TEMPLATES) expect(text).toContain(name)
    for (const rule of OWN_RULES) expect(text).toContain(rule)
  })
})

/** What JSON Schema can say of the policy. */
function jsonSchema(): object {
  const schema = toJsonSchema(SandboxPolicySchema, { typeMode: 'input', errorMode: 'ignore', target: 'draft-2020-12' })
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Sandbox policy of a Vivarium domain',
    description: 'docs/policy.md tells what it means. Conditions between fields are checked by Vivarium only.',
    ...schema,
  }
}
