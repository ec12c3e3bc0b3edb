import { resolve } from 'node:path'
import { Argument, type Command } from 'commander'
import { KEY_PROTECTIONS, type KeyProtection, type KeysView } from '../contract'
import { given } from './options'
import { askPassphrase, withPassphraseFile, type PassphraseOptions } from './passphrase'
import type { CliSession } from './session'
import { facts } from './text'

const GUARDS: Record<KeyProtection, string> = {
  keychain: "the system's keychain",
  passphrase: 'a passphrase',
  file: 'nothing: the key lies in the data folder',
}

const SEALED = {
  nothing: { sealing: false },
  files: { sealing: true, sealDisks: false },
  disks: { sealing: true, sealDisks: true },
}
const SAID: Record<keyof typeof SEALED, string> = {
  nothing: 'nothing is sealed',
  files: 'changes in shares and the registry are sealed',
  disks: 'changes in shares, the registry and disks are sealed',
}

/** keys show, unlock, seal, protect, export, import: what seals the changes, disks and memory of guests. */
export function addKeyCommands(program: Command, cli: CliSession): void {
  const keys = program.command('keys').description('the keys that seal what is kept of guests')

  keys
    .command('show', { isDefault: true })
    .description('show what guards the keys, what they protect and what not')
    .action(async () => show(cli, await cli.call('keys.get', {})))

  withPassphraseFile(keys.command('unlock').description('give the passphrase, once after each start')).action(
    async (options: PassphraseOptions) => {
      const passphrase = await askPassphrase(options, 'Passphrase')
      cli.print(await cli.call('keys.unlock', { passphrase }), 'The keys are open.')
    },
  )

  withPassphraseFile(
    keys.command('protect').description('guard the keys in another way; what is sealed stays as it is'),
  )
    .addArgument(new Argument('<guard>').choices(KEY_PROTECTIONS))
    .action(async (protection: KeyProtection, options: PassphraseOptions) => {
      const passphrase = protection === 'passphrase' ? await askPassphrase(options, 'New passphrase', true) : undefined
      show(cli, await cli.call('keys.protect', { protection, ...given({ passphrase }) }))
    })

  keys
    .command('seal')
    .description('choose what is sealed of domains that are made from now on')
    .addArgument(new Argument('<what>').choices(Object.keys(SEALED)))
    .action(async (what: keyof typeof SEALED) => {
      const settings = await cli.call('settings.update', SEALED[what])
      cli.print(settings, `Of new domains, ${SAID[what]}.`)
    })

  withPassphraseFile(
    keys.command('export <file>').description('write all keys to a new file, sealed by a passphrase'),
  ).action(async (file: string, options: PassphraseOptions) => {
    const path = resolve(file)
    const passphrase = await askPassphrase(options, 'Passphrase for the file', true)
    cli.print(await cli.call('keys.export', { path, passphrase }), path)
  })

  withPassphraseFile(keys.command('import <file>').description('take in keys that were exported')).action(
    async (file: string, options: PassphraseOptions) => {
      const path = resolve(file)
      const passphrase = await askPassphrase(options, 'Passphrase of the file')
      show(cli, await cli.call('keys.import', { path, passphrase }))
    },
  )
}

function show(cli: CliSession, view: KeysView): void {
  const { protection, locked, keychain, imported, protects, leaves } = view
  const lines = facts([
    ['Guarded by', GUARDS[protection]],
    ['State', locked ? 'locked' : 'open'],
    ['Keychain', keychain.usable ? keychain.name || 'usable' : keychain.reason],
    ['Imported keys', String(imported)],
  ])
  const list = (title: string, all: readonly string[]): string => [title, ...all.map((line) => `- ${line}`)].join('\n')
  cli.print(view, [lines, list('Protected:', protects), list('Not protected:', leaves)].join('\n\n'))
}
