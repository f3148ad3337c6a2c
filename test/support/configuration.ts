/** docs/configuration.md, made from the settings themselves. */

import { describeSettings } from '../../src/config.ts';

export const configurationPage = (): string => `# Configuration

The controller and the gateway read their settings from the environment; an invalid one ends the program with a message
that names it. What a sandbox may do is in the SandboxClass: \`kubectl explain sandboxclass.spec --recursive\`.

| variable | default | meaning |
|---|---|---|
${describeSettings()
  .map(({ name, usual, meaning }) => `| \`${name}\` | ${usual && `\`${usual}\``} | ${meaning} |\n`)
  .join('')}`;
