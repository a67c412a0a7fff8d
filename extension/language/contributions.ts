/** What package.json says about the languages: scripts/manifest.ts puts it there. */
export const VM_CONF = 'vmconf';
export const GUEST_LOG = 'guestlog';

type Json = Readonly<Record<string, unknown>>;

/** Settings, by name. */
export const SETTINGS = {
  'trapframe.vmConf.openbsd': {
    type: 'boolean',
    default: false,
    scope: 'window',
    markdownDescription:
      "Check `vm.conf` files exactly as OpenBSD's `vmd -n` does: our extensions are errors.",
  },
  'trapframe.serial.addCarriageReturns': {
    type: 'boolean',
    default: true,
    scope: 'window',
    markdownDescription:
      'Begin a new line in the serial terminal where the guest sends a line feed without a carriage return. Turn it off for a guest that goes down one line with a line feed and means just that; full-screen programs on the alternate screen are left alone anyway.',
  },
};

/** Keys of `contributes`. */
export function languageContributions(): Json {
  return {
    languages: [
      {
        id: VM_CONF,
        aliases: ['vm.conf', 'VM Configuration'],
        filenames: ['vm.conf'],
        extensions: ['.vm.conf'],
        configuration: './syntaxes/vmconf.language-configuration.json',
        icon: { light: './syntaxes/vmconf.svg', dark: './syntaxes/vmconf.svg' },
      },
      {
        id: GUEST_LOG,
        aliases: ['Guest Serial Log'],
        filenames: ['serial.log'],
        extensions: ['.serial.log'],
      },
    ],
    grammars: [
      { language: VM_CONF, scopeName: 'source.vmconf', path: './syntaxes/vmconf.tmLanguage.json' },
      { language: GUEST_LOG, scopeName: 'text.guest-log', path: './syntaxes/guest-log.tmLanguage.json' },
    ],
    configurationDefaults: {
      [`[${VM_CONF}]`]: { 'editor.insertSpaces': false, 'editor.tabSize': 8, 'editor.formatOnType': true },
    },
    configuration: {
      title: 'Trapframe',
      properties: SETTINGS,
    },
  };
}
