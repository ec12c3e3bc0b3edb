import type { Busy } from './services/services'

/** What a person is asked who closes Vivarium while guests run that would end with it. */
export function leaveQuestion({ machines, outliving }: Pick<Busy, 'machines' | 'outliving'>) {
  const ends = machines === 1 ? 'A guest ends with Vivarium' : `${machines} guests end with Vivarium`
  const others = outliving === 1 ? 'another one goes on running' : `${outliving} others go on running`
  return {
    message: outliving === 0 ? `${ends}.` : `${ends}; ${others}.`,
    detail: 'A saved guest goes on where it was when you start it again. Forced off, it loses what it has not written.',
  }
}
