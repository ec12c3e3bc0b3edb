import type { ITheme } from '@xterm/xterm'
import type { Shade } from './useTheme'

/** The sixteen terminal colours in both themes; xterm lifts what would still be too faint to 4.5:1. */
const THEMES: Record<Shade, ITheme> = {
  light: {
    background: '#fcfdfb',
    foreground: '#1d2522',
    cursor: '#0b6b5c',
    cursorAccent: '#fcfdfb',
    selectionBackground: '#bfe0d6',
    black: '#1d2522',
    red: '#ab2420',
    green: '#25692f',
    yellow: '#855200',
    blue: '#2a568f',
    magenta: '#84357f',
    cyan: '#0d6873',
    white: '#5c6761',
    brightBlack: '#5c6761',
    brightRed: '#c23a33',
    brightGreen: '#2f7d3b',
    brightYellow: '#96620c',
    brightBlue: '#3569ab',
    brightMagenta: '#9a4794',
    brightCyan: '#157c88',
    brightWhite: '#1d2522',
  },
  dark: {
    background: '#101514',
    foreground: '#dbe3df',
    cursor: '#4fc3a8',
    cursorAccent: '#101514',
    selectionBackground: '#24564a',
    black: '#2a322f',
    red: '#f2938a',
    green: '#84cf8e',
    yellow: '#e2ae54',
    blue: '#93b9e6',
    magenta: '#d8a1d3',
    cyan: '#6fcbd4',
    white: '#c7d0cc',
    brightBlack: '#84918b',
    brightRed: '#f7aca5',
    brightGreen: '#a2dfaa',
    brightYellow: '#efc680',
    brightBlue: '#b3d0f2',
    brightMagenta: '#e6bfe2',
    brightCyan: '#97dde4',
    brightWhite: '#f2f6f4',
  },
}

export const consoleTheme = (shade: Shade): ITheme => THEMES[shade]

/** Highlights of search hits, in both themes. */
export const searchColours = (shade: Shade) =>
  shade === 'light'
    ? {
        matchBackground: '#f3e3b8',
        activeMatchBackground: '#ffc94d',
        matchOverviewRuler: '#96620c',
        activeMatchColorOverviewRuler: '#855200',
      }
    : {
        matchBackground: '#4a3c17',
        activeMatchBackground: '#8a6a1c',
        matchOverviewRuler: '#e2ae54',
        activeMatchColorOverviewRuler: '#ffc94d',
      }
